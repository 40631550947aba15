/** One layer's two mixers as matrices over the text. */
import { decayOf, matrixDistance, mixingMatrix, stateNorms } from "@/lib/evaluation/mixing";
import type { Architecture } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { mambaInside, PROBABILITIES } from "@/lib/onnx/parts";
import { UnsupportedError } from "../errors";
import type { Call } from "./call";
import type { Device, DeviceTensor } from "./device";
import type { Reading } from "./reading";
import type { LayerInside } from "./types";

type Where = { readonly layer: number; readonly set: string; readonly spec: string; readonly config: Mamba2Config; readonly architecture: Architecture };

/** Throws what running the two mixers throws. */
export async function lookInside(device: Device, reading: Reading, { layer, set, spec, config, architecture }: Where, call: Call): Promise<LayerInside> {
  const T = reading.tokens.length;
  const { num_heads: H, num_kv_heads: G, head_dim: P, state_size: N } = config;
  const progress = (done: number, message: string): void => call.onProgress?.({ phase: "inside", done, total: H + 1, unit: "steps", message });
  progress(0, "Running both mixers");
  await call.checkpoint();
  const queries = architecture.num_attention_heads;
  if (queries !== H) throw new UnsupportedError(`This mixer has ${H} heads and its attention ${queries}: they cannot be shown side by side.`, "Choose another set.");
  const [attention] = await fetch(device, { [PROBABILITIES]: [queries, T, T] }, (outputs) => reading.mix(layer, "attention", outputs));
  await call.checkpoint();
  const names = mambaInside(layer);
  const shapes = { [names.C]: [1, T, H * N], [names.B]: [1, T, G * N], [names.logDecay]: [1, T, H], [names.x]: [1, T, G * P], [names.step]: [1, T, H] };
  const [C, B, logDecay, x, step] = await fetch(device, shapes, (outputs) => reading.mix(layer, spec, outputs));
  if (!attention || !C || !B || !logDecay || !x || !step) throw new Error("The mixers gave no numbers.");
  const parts = { T, H, G, P, N, C, B, logDecay, x, step: config.form === "ssd" ? step : null };
  const mamba = new Float32Array(H * T * T);
  const stateNorm = new Float32Array(H * T);
  for (let head = 0; head < H; head++) {
    progress(head + 1, `Head ${head + 1} of ${H}`);
    await call.checkpoint();
    mixingMatrix(parts, head, mamba.subarray(head * T * T, (head + 1) * T * T));
    stateNorms(parts, head, stateNorm.subarray(head * T, (head + 1) * T));
  }
  const distances = Array.from({ length: H }, (_, head) => {
    const of = (all: Float32Array): Float32Array => all.subarray(head * T * T, (head + 1) * T * T);
    return matrixDistance(of(attention), of(mamba));
  });
  return {
    layer,
    set,
    heads: H,
    tokens: T,
    attention,
    mamba,
    decay: decayOf(parts),
    stateNorm,
    relativeError: Float32Array.from(distances, ({ relativeError }) => relativeError),
    cosine: Float32Array.from(distances, ({ cosine }) => cosine),
  };
}

/** Runs with outputs of the given shapes and returns copies of their numbers, in the order of the names. */
async function fetch(
  device: Device,
  shapes: Readonly<Record<string, readonly number[]>>,
  run: (outputs: Record<string, DeviceTensor>) => Promise<void>,
): Promise<Float32Array<ArrayBuffer>[]> {
  const outputs: Record<string, DeviceTensor> = {};
  try {
    for (const [name, shape] of Object.entries(shapes)) outputs[name] = device.zeros(shape);
    await run(outputs);
    const read: Float32Array<ArrayBuffer>[] = [];
    for (const name of Object.keys(shapes)) read.push(Float32Array.from(await device.read(outputs[name]!)));
    return read;
  } finally {
    for (const tensor of Object.values(outputs)) tensor.free();
  }
}
