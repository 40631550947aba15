/** Small random bundles in memory, for tests: a valid manifest, its shard, and the tensors' float32 numbers. */
import { type Architecture, architectureOf, draftArchitecture, type DraftShape, type HybridConfig } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { isOfDraft, mamba2Tensors, requiredTensors, type TensorSpec } from "@/lib/hybrid/tensors";
import { BLOCK_SIZE, type Codec, elementCount, partLayouts, type PartName } from "@/lib/weights/codec-size";
import { decodeTensor, encodeTensor, type TensorBytes } from "@/lib/weights/codecs";
import { BUNDLE_FORMAT, BUNDLE_VERSION, type Manifest, parseManifest, resolveTensor } from "@/lib/weights/manifest";
import type { StoredTensor } from "./expand";

export type SyntheticOptions = {
  readonly architecture: Architecture;
  /** Mixer sets by name; each holds a mixer for every layer. */
  readonly sets?: Readonly<Record<string, Mamba2Config>>;
  /** Drafts by name, of Mamba-2 or of attention. */
  readonly drafts?: Readonly<Record<string, { readonly shape: DraftShape; readonly mixer: Mamba2Config | "attention" }>>;
  /** Codec of the matrices (vectors are f32); default f32. Matrices whose columns it does not fit stay f32. */
  readonly codec?: Codec;
  readonly seed?: number;
};

export type SyntheticBundle = {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** A hybrid of the bundle by its layers. */
  config(layers: readonly string[]): HybridConfig;
  /** A tensor as stored, and as float32, as `config` sees it. */
  stored(config: HybridConfig, name: string): StoredTensor;
  values(config: HybridConfig, name: string): Float32Array;
};

/** The shape of the small Llama in the tests; `changes` overrides it. */
export function tinyArchitecture(changes: Partial<Architecture> = {}): Architecture {
  return {
    model_type: "llama",
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 160,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    hidden_act: "silu",
    ...changes,
  };
}

export function tinyMamba2(changes: Partial<Mamba2Config> = {}): Mamba2Config {
  return {
    form: "ssd",
    num_heads: 4,
    num_kv_heads: 2,
    head_dim: 16,
    state_size: 16,
    conv_kernel: 4,
    conv_activation: "silu",
    gate: true,
    norm: "rms",
    norm_groups: 1,
    norm_eps: 1e-5,
    ...changes,
  };
}

const SHARD = "base-00001-of-00001.safetensors";

/** Builds a bundle with random weights of a size that keeps activations near one. */
export async function syntheticBundle({ architecture, sets = {}, drafts = {}, codec = "f32", seed = 1 }: SyntheticOptions): Promise<SyntheticBundle> {
  const layers = Array.from({ length: architecture.num_hidden_layers }, (_, layer) => layer);
  const random = gaussian(seed);
  const shard = new ShardWriter(SHARD);
  const index = (specs: readonly TensorSpec[], prefix: string): Manifest["base"]["tensors"] =>
    Object.fromEntries(
      specs.map(({ name, shape }) => {
        const fits = shape.length === 2 && (shape[1] ?? 0) % BLOCK_SIZE === 0;
        const used: Codec = fits ? codec : "f32";
        return [name, shard.add(prefix + name, used, shape, encodeTensor(used, shape, randomTensor(name, shape, random)))];
      }),
    );
  const teacher: HybridConfig = { family: "synthetic", architecture, layers: layers.map(() => "attention") };
  const base = index(requiredTensors(teacher, {}), "");
  const mixerSets: Manifest["mixer_sets"] = Object.fromEntries(
    Object.entries(sets).map(([name, config]) => {
      const specs = layers.flatMap((layer) => mamba2Tensors(config, architecture.hidden_size, layer));
      return [name, { mixer: "mamba2" as const, config, layers, tensors: index(specs, `${name}.`) }];
    }),
  );
  const variants: Manifest["variants"] = Object.fromEntries(Object.keys(sets).map((name) => [name, { title: name, layers: layers.map(() => `mamba2:${name}`) }]));
  for (const [name, { shape, mixer }] of Object.entries(drafts)) {
    const description = mixer === "attention" ? { mixer, draft: shape, config: {} } : { mixer: "mamba2" as const, draft: shape, config: mixer };
    const own = Array.from({ length: shape.num_hidden_layers }, (_, layer) => layer);
    variants[name] = { title: name, layers: own.map(() => `${description.mixer}:${name}`) };
    const config = { family: "synthetic", architecture: draftArchitecture(architecture, shape), layers: variants[name].layers };
    const specs = requiredTensors(config, { [name]: description }).filter(isOfDraft);
    mixerSets[name] = { ...description, layers: own, tensors: index(specs, `${name}.`) };
  }
  const bytes = shard.finish(base, ...Object.values(mixerSets).map(({ tensors }) => tensors));
  const tokenizer = new TextEncoder().encode("{}");
  const files = new Map([
    [SHARD, bytes],
    ["tokenizer.json", tokenizer],
    ["tokenizer_config.json", tokenizer],
  ]);
  const entries = await Promise.all([...files].map(async ([name, data]) => [name, { bytes: data.length, sha256: await sha256(data) }] as const));
  const manifest = parseManifest({
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    family: "synthetic",
    title: "Synthetic",
    description: "Random weights",
    license: "Apache-2.0",
    source: "",
    architecture,
    special_tokens: { bos: null, eos: [0], pad: 0 },
    tokenizer: { file: "tokenizer.json", config: "tokenizer_config.json" },
    files: Object.fromEntries(entries),
    base: { origin: { kind: "shipped" }, tensors: base },
    mixer_sets: mixerSets,
    variants: {
      teacher: { title: "Teacher", layers: teacher.layers },
      ...variants,
    },
  });
  const stored = (config: HybridConfig, name: string): StoredTensor => {
    const { codec: used, shape, parts } = resolveTensor(manifest, config, name);
    const views = Object.entries(parts).map(([part, [begin, end]]) => [part, bytes.subarray(begin, end)]);
    return { codec: used, shape, parts: Object.fromEntries(views) as TensorBytes };
  };
  return {
    manifest,
    files,
    config: (chosen) => ({ family: "synthetic", architecture: architectureOf(architecture, chosen, mixerSets), layers: [...chosen] }),
    stored,
    values: (config, name) => {
      const tensor = stored(config, name);
      return decodeTensor(tensor.codec, tensor.shape, tensor.parts);
    },
  };
}

/** Collects tensors and writes them as one safetensors file. */
class ShardWriter {
  private readonly chunks: { name: string; dtype: string; shape: readonly number[]; begin: number; data: Uint8Array }[] = [];
  private size = 0;

  constructor(private readonly file: string) {}

  /** Ranges count from the start of the data until `finish` moves them behind the header. */
  add(name: string, codec: Codec, shape: readonly number[], stored: TensorBytes): Manifest["base"]["tensors"][string] {
    const parts: Partial<Record<PartName, [number, number]>> = {};
    for (const layout of partLayouts(codec, shape)) {
      const data = stored[layout.part] ?? new Uint8Array();
      this.chunks.push({ name: name + layout.suffix, dtype: layout.dtype, shape: layout.shape, begin: this.size, data });
      parts[layout.part] = [this.size, this.size + data.length];
      this.size += data.length + (-data.length & 7); // eight-byte alignment
    }
    return { codec, shape: [...shape], file: this.file, parts } as Manifest["base"]["tensors"][string];
  }

  finish(...indices: readonly Manifest["base"]["tensors"][]): Uint8Array<ArrayBuffer> {
    const header: Record<string, unknown> = {};
    for (const { name, dtype, shape, begin, data } of this.chunks) {
      header[name] = { dtype, shape, data_offsets: [begin, begin + data.length] };
    }
    let text = JSON.stringify(header);
    text += " ".repeat(-text.length & 7);
    const offset = 8 + text.length;
    const file = new Uint8Array(offset + this.size);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(new TextEncoder().encode(text), 8);
    for (const { begin, data } of this.chunks) file.set(data, offset + begin);
    for (const entry of indices.flatMap((tensors) => Object.values(tensors))) {
      for (const range of Object.values(entry.parts)) {
        range[0] += offset;
        range[1] += offset;
      }
    }
    return file;
  }
}

function randomTensor(name: string, shape: readonly number[], random: () => number): Float32Array {
  const [centre, spread] = name.endsWith("norm.weight")
    ? [1, 0.2]
    : name.endsWith("dt_bias")
      ? [-1, 1]
      : name.endsWith(".D")
        ? [1, 0.3]
        : name.endsWith("A_log")
          ? [0, 0.5]
          : [0, shape.length === 2 ? 1 / Math.sqrt(shape[1] ?? 1) : 0.2];
  return Float32Array.from({ length: elementCount(shape) }, () => centre + spread * random());
}

/** Normal deviates by Box and Muller from a 32-bit linear congruential generator: enough for test weights. */
function gaussian(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
