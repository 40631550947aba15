/**
 * The hybrid's forward pass written out in float64, one token and one number at a time: slow, plain, and what the tests hold the
 * graph against. It follows docs/contracts.md, section 3, and the Llama block of Hugging Face.
 */
import type { Architecture, HybridConfig, MixerSets } from "@/lib/hybrid/config";
import { resolveLayers } from "@/lib/hybrid/config";
import { type Mamba2Config, mamba2Widths } from "@/lib/hybrid/mamba2";

/** Numbers of a tensor in row-major order. */
export type ReferenceWeights = (name: string) => ArrayLike<number>;

type Vector = number[];
type LayerState =
  | { kind: "attention"; keys: Vector[]; values: Vector[] }
  /** `window`: the last inputs of the convolution, oldest first. `memory`: (H, N, P). */
  | { kind: "mamba2"; window: Vector[]; memory: number[] };

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const siluOf = (x: number): number => x * sigmoid(x);
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** weight (rows, x.length) times x. */
function multiply(weight: ArrayLike<number>, x: Vector): Vector {
  const rows = weight.length / x.length;
  return Array.from({ length: rows }, (_, row) => sum(x.map((value, column) => value * (weight[row * x.length + column] ?? NaN))));
}

function rms(x: Vector, weight: ArrayLike<number>, epsilon: number): Vector {
  const scale = 1 / Math.sqrt(sum(x.map((value) => value * value)) / x.length + epsilon);
  return x.map((value, index) => value * scale * (weight[index] ?? NaN));
}

const add = (a: Vector, b: Vector): Vector => a.map((value, index) => value + (b[index] ?? NaN));

/** A model with its state: `step` reads one token and returns the logits that follow it, and the hidden state that they come from. */
export class ReferenceModel {
  private readonly layers;
  private readonly states: LayerState[];
  private readonly architecture: Architecture;

  constructor(
    config: HybridConfig,
    sets: MixerSets,
    private readonly weights: ReferenceWeights,
  ) {
    this.architecture = config.architecture;
    this.layers = resolveLayers(config, sets);
    this.states = this.layers.map((layer): LayerState => {
      if (layer.mixer === "attention") return { kind: "attention", keys: [], values: [] };
      const { conv_kernel: kernel, num_heads: H, state_size: N, head_dim: P } = layer.config;
      const channels = mamba2Widths(layer.config).conv;
      const window = Array.from({ length: Math.max(0, kernel - 1) }, () => new Array<number>(channels).fill(0));
      return { kind: "mamba2", window, memory: new Array<number>(H * N * P).fill(0) };
    });
  }

  /** Logits (one number a vocabulary entry) after each of `tokens`. */
  run(tokens: readonly number[]): Vector[] {
    return tokens.map((token) => this.step(token).logits);
  }

  /** `hidden`: behind the last norm. `feature`: the target's hidden state before the token, for a feature draft. */
  step(token: number, feature?: ArrayLike<number>): { readonly logits: Vector; readonly hidden: Vector } {
    const { hidden_size: width, rms_norm_eps: epsilon } = this.architecture;
    const table = this.weights("model.embed_tokens.weight");
    let x: Vector = Array.from({ length: width }, (_, column) => table[token * width + column] ?? NaN);
    if (feature) x = add(x, multiply(this.weights("model.features_proj.weight"), Array.from(feature)));
    this.layers.forEach((layer, index) => {
      const prefix = `model.layers.${index}`;
      const state = this.states[index];
      const normed = rms(x, this.weights(`${prefix}.input_layernorm.weight`), epsilon);
      if (layer.mixer === "attention" && state?.kind === "attention") x = add(x, this.attention(prefix, state, normed));
      if (layer.mixer === "mamba2" && state?.kind === "mamba2") x = add(x, this.mamba2(prefix, layer.config, state, normed));
      const between = rms(x, this.weights(`${prefix}.post_attention_layernorm.weight`), epsilon);
      const gate = multiply(this.weights(`${prefix}.mlp.gate_proj.weight`), between);
      const up = multiply(this.weights(`${prefix}.mlp.up_proj.weight`), between);
      const inner = gate.map((value, i) => siluOf(value) * (up[i] ?? NaN));
      x = add(x, multiply(this.weights(`${prefix}.mlp.down_proj.weight`), inner));
    });
    const hidden = rms(x, this.weights("model.norm.weight"), epsilon);
    return { hidden, logits: multiply(this.architecture.tie_word_embeddings ? table : this.weights("lm_head.weight"), hidden) };
  }

  private attention(prefix: string, state: LayerState & { kind: "attention" }, u: Vector): Vector {
    const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: width, rope_theta: theta } = this.architecture;
    const project = (name: string): Vector => multiply(this.weights(`${prefix}.self_attn.${name}_proj.weight`), u);
    const position = state.keys.length;
    const query = rotate(project("q"), position, width, theta);
    state.keys.push(rotate(project("k"), position, width, theta));
    state.values.push(project("v"));
    const read: Vector = [];
    for (let head = 0; head < heads; head++) {
      const group = Math.floor(head / (heads / groups));
      const of = (vector: Vector, index: number): Vector => vector.slice(index * width, (index + 1) * width);
      const q = of(query, head);
      const scores = state.keys.map((key) => sum(of(key, group).map((value, i) => value * (q[i] ?? NaN))) / Math.sqrt(width));
      const highest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - highest));
      const total = sum(weights);
      for (let i = 0; i < width; i++) {
        read.push(sum(weights.map((weight, t) => (weight / total) * (state.values[t]?.[group * width + i] ?? NaN))));
      }
    }
    return multiply(this.weights(`${prefix}.self_attn.o_proj.weight`), read);
  }

  private mamba2(layerPrefix: string, config: Mamba2Config, state: LayerState & { kind: "mamba2" }, u: Vector): Vector {
    const prefix = `${layerPrefix}.mamba`;
    const weight = (name: string): ArrayLike<number> => this.weights(`${prefix}.${name}`);
    const { num_heads: H, num_kv_heads: G, head_dim: P, state_size: N, conv_kernel: kernel } = config;
    const widths = mamba2Widths(config);
    const projected = multiply(weight("in_proj.weight"), u);
    const z = projected.slice(0, widths.z);
    let mixed = projected.slice(widths.z, widths.z + widths.conv);
    const dt = projected.slice(widths.z + widths.conv);
    if (kernel > 0) {
      const taps = [...state.window, mixed];
      const filters = weight("conv1d.weight");
      const bias = weight("conv1d.bias");
      mixed = mixed.map((_, c) => (bias[c] ?? NaN) + sum(taps.map((tap, k) => (tap[c] ?? NaN) * (filters[c * kernel + k] ?? NaN))));
      state.window = taps.slice(1);
    }
    if (config.conv_activation === "silu") mixed = mixed.map(siluOf);
    const x = mixed.slice(0, widths.x);
    const B = mixed.slice(widths.x, widths.x + widths.B);
    const C = mixed.slice(widths.x + widths.B);

    let y: Vector = [];
    for (let head = 0; head < H; head++) {
      const group = Math.floor(head / (H / G));
      const d = softplus((dt[head] ?? NaN) + (weight("dt_bias")[head] ?? NaN));
      const keep = Math.exp(config.form === "ssd" ? -Math.exp(weight("A_log")[head] ?? NaN) * d : -d);
      const gain = config.form === "ssd" ? d : 1;
      for (let p = 0; p < P; p++) {
        const input = x[group * P + p] ?? NaN;
        let read = (weight("D")[head] ?? NaN) * input;
        for (let n = 0; n < N; n++) {
          const at = (head * N + n) * P + p;
          const next = keep * (state.memory[at] ?? NaN) + (B[group * N + n] ?? NaN) * gain * input;
          state.memory[at] = next;
          read += next * (C[head * N + n] ?? NaN);
        }
        y.push(read);
      }
    }
    if (config.gate) y = y.map((value, i) => value * siluOf(z[i] ?? NaN));
    if (config.norm === "rms") {
      const width = (H * P) / config.norm_groups;
      const scale = Array.from(weight("norm.weight"));
      y = Array.from({ length: config.norm_groups }, (_, group) => {
        const range = [group * width, (group + 1) * width] as const;
        return rms(y.slice(...range), scale.slice(...range), config.norm_eps);
      }).flat();
    }
    return multiply(weight("out_proj.weight"), y);
  }
}

/** Rotary embedding in the half-split form: element i of a head pairs with element i + width / 2. */
function rotate(x: Vector, position: number, width: number, theta: number): Vector {
  const half = width / 2;
  return x.map((value, index) => {
    const within = index % width;
    const pair = within % half;
    const angle = position * theta ** (-(2 * pair) / width);
    const partner = x[within < half ? index + half : index - half] ?? NaN;
    return within < half ? value * Math.cos(angle) - partner * Math.sin(angle) : value * Math.cos(angle) + partner * Math.sin(angle);
  });
}
