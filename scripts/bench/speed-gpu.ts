/**
 * `node scripts/bench/main.mjs speed-gpu [family …]`: speed on a GPU without a browser; see node-webgpu.mjs for the package that it needs.
 * Options: sections of `decode`, `explore`; `variants=a,b`, `tokens=N`, `rounds=N`. The entries are merged into `results/speed.json` and
 * `results/explore.json`, or written to the file that MAMBASCOPE_BENCH_OUT names.
 */
import { writeFile } from "node:fs/promises";
import type * as Ort from "onnxruntime-web/webgpu";
import { Context } from "@/lib/inference/context";
import { generate } from "@/lib/inference/generate";
import { simpleCall } from "@/lib/inference/probe/call";
import { PartStore } from "@/lib/inference/probe/part-store";
import { Reading } from "@/lib/inference/probe/reading";
import { WebGpuDevice } from "@/lib/inference/probe/webgpu-device";
import { drain } from "@/lib/inference/speculative/sweep";
import { WebGpuRunner } from "@/lib/inference/webgpu-runner";
import { buildGraph } from "@/lib/onnx/build";
import { createExpander } from "@/lib/onnx/expand";
import { hybridConfigOf } from "@/lib/weights/manifest";
import { say } from "../lib/console.mjs";
import { type Family, GREEDY, openFamily } from "./exactness-family";
import { Options } from "./options";
import { Collected, median, mergeResults, origin } from "./results";
import { passage } from "./texts";

const CONTEXT = 1024;
const DECODED_BEHIND = 64;
const READ = 256;
const SET = "aligned";

type Amount = { readonly tokens: number; readonly rounds: number; readonly gpu: string };

export async function main(given: string[], ort: typeof Ort, gpu: string): Promise<number> {
  const options = new Options(given, ["variants", "tokens", "rounds"]);
  const sections = options.words.filter((word) => ["decode", "explore"].includes(word));
  const named = options.words.filter((word) => !sections.includes(word));
  const families = named.length > 0 ? named : ["smollm2-135m-instruct"];
  const amount: Amount = { tokens: options.number("tokens", 128), rounds: options.number("rounds", 5), gpu };
  const found = { speed: new Collected(), explore: new Collected() };
  const from = await origin(`node scripts/bench/main.mjs speed-gpu ${given.join(" ")}`.trim(), gpu);
  const entries = (collected: Collected) => collected.entries.map((entry) => ({ ...entry, ...from }));
  const out = process.env.MAMBASCOPE_BENCH_OUT;
  // After each part, since the time on such a machine may end before the work does.
  const write = async (): Promise<void> => {
    if (out) await writeFile(out, JSON.stringify([...entries(found.speed), ...entries(found.explore)], null, 1));
  };
  for (const name of families) {
    const family = openFamily(name);
    for (const variant of options.list("variants") ?? ["teacher", "attn50", "attn0"]) {
      if (sections.length === 0 || sections.includes("decode")) await decoding(ort, family, variant, amount, found.speed);
      await write();
    }
    if (sections.length === 0 || sections.includes("explore")) await exploring(ort, family, amount, found.explore);
    await write();
  }
  if (!out) for (const [file, collected] of Object.entries(found)) if (collected.entries.length > 0) say(`Wrote ${await mergeResults(file, entries(collected))}`);
  return 0;
}

/** Reading a prompt, answering one, and passes of several tokens. */
async function decoding(ort: typeof Ort, { bundle, tokenizer }: Family, variant: string, { tokens, rounds, gpu }: Amount, collected: Collected): Promise<void> {
  const config = hybridConfigOf(bundle.manifest, variant);
  const began = performance.now();
  const plan = buildGraph(bundle.manifest, config, { format: "quantised", provider: "webgpu", contextLength: CONTEXT });
  const runner = await WebGpuRunner.create(ort, { plan, contextLength: CONTEXT, allLogits: false, expand: createExpander((name) => bundle.stored(config, name)) });
  await runner.warmUp();
  say(`── ${config.family} ${variant}: ready after ${((performance.now() - began) / 1000).toFixed(1)} s, prompts in chunks of ${runner.chunk}`);
  const of = { family: config.family, variant, provider: "webgpu", gpu, runtime: "Node" };
  const all = tokenizer.encode(passage);
  const answer = (prompt: readonly number[], maxTokens: number) => {
    runner.reset();
    return drain(generate(new Context(runner), prompt, { sampling: GREEDY, seed: 1, maxTokens, stopTokens: new Set<number>(), contextLength: CONTEXT, chunk: runner.chunk, decode: (ids) => tokenizer.decode(ids) }));
  };
  const speeds = { decode: [] as number[], prefill: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const decoded = await answer(all.slice(0, DECODED_BEHIND), round < 0 ? 8 : tokens); // the first of each compiles
    const read = await answer(all.slice(0, READ), 1);
    if (round < 0) continue;
    speeds.decode.push(decoded.tokensPerSecond);
    speeds.prefill.push(read.prefillTokensPerSecond);
  }
  const spread = (values: readonly number[]) => ({ rounds, slowest: Number(Math.min(...values).toPrecision(4)), fastest: Number(Math.max(...values).toPrecision(4)) });
  collected.add({ metric: "speed.decode", value: median(speeds.decode), unit: "tokens/s", of: { ...of, prompt_tokens: DECODED_BEHIND, tokens, ...spread(speeds.decode) } });
  collected.add({ metric: "speed.prefill", value: median(speeds.prefill), unit: "tokens/s", of: { ...of, prompt_tokens: READ, ...spread(speeds.prefill) } });

  const times: Record<1 | 5, number[]> = { 1: [], 5: [] };
  for (let round = -1; round < 3 * rounds; round++) {
    for (const count of [1, 5] as const) {
      const start = performance.now();
      await runner.forward(all.slice(0, count));
      if (round >= 0) times[count].push(performance.now() - start);
    }
  }
  collected.add({ metric: "speed.verify5_over_1", value: median(times[5]) / median(times[1]), unit: "x", of: { ...of, one_ms: Number(median(times[1]).toPrecision(4)), rounds: 3 * rounds } });
  await runner.dispose();
}

/** The explorer: seconds from a change of one layer of a half-replaced model to what is compared, on a text of 256 tokens. */
async function exploring(ort: typeof Ort, { bundle, tokenizer }: Family, { rounds, gpu }: Amount, collected: Collected): Promise<void> {
  const { manifest } = bundle;
  const layers = manifest.architecture.num_hidden_layers;
  const pattern = (set: string | null): string[] => Array.from({ length: layers }, () => (set === null ? "attention" : `mamba2:${set}`));
  const device = new WebGpuDevice(ort);
  const parts = new PartStore(device, manifest, "quantised", (set, name) => Promise.resolve(bundle.stored({ family: manifest.family, architecture: manifest.architecture, layers: pattern(set) }, name)));
  const call = simpleCall();
  const tokens = tokenizer.encode(passage).slice(0, READ);
  const half = pattern(SET).map((spec, layer) => (layer % 2 === 0 ? "attention" : spec));
  const seconds = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return (performance.now() - began) / 1000;
  };
  await parts.open({ kind: "embed" }); // with which the runtime makes its device
  (await Reading.read(device, parts, manifest, tokens, call)).dispose(); // compiles
  const found: Record<"teacher" | "toggle_middle" | "toggle_first", number[]> = { teacher: [], toggle_middle: [], toggle_first: [] };
  for (let round = -1; round < rounds; round++) {
    let reading: Reading | null = null;
    const teacher = await seconds(async () => (reading = await Reading.read(device, parts, manifest, tokens, call)));
    const held = reading as Reading | null;
    if (!held) continue;
    const compare = async (changed: readonly string[]): Promise<void> => {
      await held.follow(changed, call);
      await held.compareTrace(call);
    };
    const toggled = async (layer: number): Promise<number> => {
      await compare(half);
      const changed = half.map((spec, index) => (index !== layer ? spec : spec === "attention" ? `mamba2:${SET}` : "attention"));
      return seconds(() => compare(changed));
    };
    if (round < 0) await compare(pattern(SET)); // every mixer is in place: a visitor's second change, not the first
    const [middle, first] = [await toggled(Math.floor(layers / 2)), await toggled(0)];
    held.dispose();
    if (round < 0) continue;
    found.teacher.push(teacher);
    found.toggle_middle.push(middle);
    found.toggle_first.push(first);
  }
  for (const [name, values] of Object.entries(found)) {
    const of = { family: manifest.family, provider: "webgpu", gpu, runtime: "Node", layers, tokens: tokens.length, rounds, slowest: Number(Math.max(...values).toPrecision(4)) };
    collected.add({ metric: `explore.${name}`, value: median(values), unit: "s", of });
  }
  await parts.dispose();
  await device.dispose();
}
