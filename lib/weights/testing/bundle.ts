import { createHash } from "node:crypto";
import type { Architecture, HybridConfig } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { requiredTensors, type TensorSpec } from "@/lib/hybrid/tensors";
import { type Codec, elementCount, partLayouts } from "../codec-size";
import { encodeTensor } from "../codecs";
import type { Manifest, TensorEntry } from "../manifest";

/** A bundle in memory, as it would lie in a folder. */
export interface TestBundle {
  readonly manifest: Manifest;
  readonly files: Map<string, Uint8Array>;
  /** The float32 values that were encoded, by `<set or base>/<tensor name>`. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

export const tinyArchitecture: Architecture = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 32,
  vocab_size: 50,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: "silu",
};

export const tinyMixer: Mamba2Config = {
  form: "ssd",
  num_heads: 2,
  num_kv_heads: 1,
  head_dim: 32,
  state_size: 32,
  conv_kernel: 4,
  conv_activation: "silu",
  gate: true,
  norm: "rms",
  norm_groups: 1,
  norm_eps: 1e-5,
};

/** A whole bundle of random weights: a base in two shards, set `odd` for layer 1 and set `aligned` for all layers. */
export function makeTestBundle(codecs: readonly Codec[] = ["q8_0", "q4_0", "q4_1", "f16", "f32"]): TestBundle {
  const architecture = tinyArchitecture;
  const sets = { odd: [1], aligned: [0, 1, 2] };
  const mixers = { odd: { mixer: "mamba2", config: tinyMixer }, aligned: { mixer: "mamba2", config: tinyMixer } } as const;
  const tensorsOf = (layers: string[]): TensorSpec[] => {
    const config: HybridConfig = { family: "tiny", architecture, layers };
    return requiredTensors(config, mixers);
  };
  const files = new Map<string, Uint8Array>();
  const values = new Map<string, Float32Array>();
  let turn = 0;
  const write = (owner: string, file: string, specs: readonly TensorSpec[]): Record<string, TensorEntry> => {
    const stored = specs.map(({ name, shape }) => {
      const codec = shape.length === 2 && (shape[1] ?? 0) % 32 === 0 ? (codecs[turn++ % codecs.length] ?? "f32") : "f32";
      const data = randomValues(elementCount(shape), values.size + 1);
      values.set(`${owner}/${name}`, data);
      return { name, codec, shape, data };
    });
    const { bytes, index } = writeSafetensors(file, stored);
    files.set(file, bytes);
    return index;
  };
  const base = tensorsOf(["attention", "attention", "attention"]);
  const tensors = {
    ...write("base", "base-00001-of-00002.safetensors", base.filter(({ layer }) => layer === null || layer === 0)),
    ...write("base", "base-00002-of-00002.safetensors", base.filter(({ layer }) => layer !== null && layer > 0)),
  };
  const mixerSet = (name: keyof typeof sets) => {
    const own = tensorsOf(Array<string>(3).fill(`mamba2:${name}`)).filter((spec) => spec.name.includes(".mamba.") && sets[name].includes(spec.layer ?? -1));
    return { ...mixers[name], layers: sets[name], tensors: write(name, `${name}.safetensors`, own), training: { steps: 10 } };
  };
  const mixer_sets = { odd: mixerSet("odd"), aligned: mixerSet("aligned") };
  files.set("tokenizer.json", new TextEncoder().encode('{"model":{"type":"BPE"}}'));
  files.set("tokenizer_config.json", new TextEncoder().encode('{"chat_template":"{{ messages }}"}'));
  const manifest: Manifest = {
    format: "mambascope-bundle",
    version: 1,
    family: "tiny",
    title: "Tiny",
    description: "Random weights",
    license: "Apache-2.0",
    source: "",
    architecture,
    special_tokens: { bos: null, eos: [0], pad: null },
    tokenizer: { file: "tokenizer.json", config: "tokenizer_config.json" },
    files: listFiles(files),
    base: { origin: { kind: "shipped" }, tensors },
    mixer_sets,
    variants: {
      teacher: { title: "Teacher", layers: ["attention", "attention", "attention"] },
      hybrid: { title: "Hybrid", layers: ["attention", "mamba2:odd", "attention"] },
      aligned: { title: "Aligned", layers: ["mamba2:aligned", "mamba2:aligned", "mamba2:aligned"] },
    },
  };
  return { manifest, files, values };
}

/** The manifest's `files` for these files. */
export function listFiles(files: ReadonlyMap<string, Uint8Array>): Manifest["files"] {
  return Object.fromEntries([...files].map(([name, data]) => [name, { bytes: data.byteLength, sha256: sha256(data) }]));
}

export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function randomValues(count: number, seed: number): Float32Array {
  let state = seed * 2654435761;
  return new Float32Array(count).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.2;
  });
}

function writeSafetensors(
  file: string,
  tensors: readonly { name: string; codec: Codec; shape: readonly number[]; data: Float32Array }[],
): { bytes: Uint8Array; index: Record<string, TensorEntry> } {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const pieces: { data: Uint8Array; at: number }[] = [];
  const places: { name: string; codec: Codec; shape: readonly number[]; parts: Record<string, [number, number]> }[] = [];
  let offset = 0;
  for (const { name, codec, shape, data } of tensors) {
    const encoded = encodeTensor(codec, shape, data);
    const parts: Record<string, [number, number]> = {};
    for (const layout of partLayouts(codec, shape)) {
      const part = encoded[layout.part] ?? new Uint8Array();
      header[name + layout.suffix] = { dtype: layout.dtype, shape: layout.shape, data_offsets: [offset, offset + part.byteLength] };
      parts[layout.part] = [offset, offset + part.byteLength];
      pieces.push({ data: part, at: offset });
      offset += part.byteLength;
    }
    places.push({ name, codec, shape, parts });
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const start = 8 + json.byteLength;
  const bytes = new Uint8Array(start + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  bytes.set(json, 8);
  for (const { data, at } of pieces) bytes.set(data, start + at);
  const index = Object.fromEntries(
    places.map(({ name, codec, shape, parts }) => {
      const shifted = Object.fromEntries(Object.entries(parts).map(([part, [begin, end]]) => [part, [start + begin, start + end]]));
      return [name, { codec, shape: [...shape], file, parts: shifted } as TensorEntry];
    }),
  );
  return { bytes, index };
}
