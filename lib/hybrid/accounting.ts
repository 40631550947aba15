import { type Architecture, type HybridConfig, type MixerSets, needsFeatures, type ResolvedLayer, resolveLayers } from "./config";
import { type Mamba2Config, mamba2Widths } from "./mamba2";
import { requiredTensors } from "./tensors";

/*
 * Symbols: D hidden_size, F intermediate_size, V vocab_size; attention: Q query heads, G key/value heads, P head_dim;
 * mamba2: H heads, G groups, P head_dim, N state_size, k conv_kernel. Mamba2's R = rows of in_proj, W = conv channels.
 *
 * FLOPs count a multiplication and an addition as one each, of matrix products, attention scores, the convolution and
 * the recurrence. Norms, activations, softmax, RoPE and the embedding's look-up, all O(D) or O(V) a token with small
 * constants, are left out. Matrix products and attention scores are counted as in arXiv 2203.15556, appendix F (there over
 * the whole square of a sequence; here over the causal pairs); the recurrence follows arXiv 2405.21060, section 3.
 */

/** Bytes of one element of the KV cache, by its type. */
export const CACHE_BYTES = { f32: 4, f16: 2 } as const;
export type CacheType = keyof typeof CACHE_BYTES;

/** The convolution and SSM states are float32. */
const STATE_BYTES = 4;

/** What one layer, or what stands outside the layers, takes. */
export interface LayerAccount {
  readonly layer: number;
  readonly mixer: "attention" | "mamba2";
  readonly set: string | null;
  /** Parameters of the mixer alone. */
  readonly mixerParameters: number;
  /** Parameters of the layer: mixer, MLP and both norms. */
  readonly parameters: number;
  /** Bytes of the KV cache that one more token of context costs; 0 for mamba2. */
  readonly kvBytesPerToken: number;
  /** Bytes of the convolution state, whatever the context; 0 for attention. */
  readonly convStateBytes: number;
  /** Bytes of the SSM state, whatever the context; 0 for attention. */
  readonly ssmStateBytes: number;
}

/** What a hybrid takes, a layer and in all. */
export interface HybridAccount {
  readonly layers: readonly LayerAccount[];
  /** Parameters of the embedding, a feature draft's projection (D²), the last norm and, if not tied, the LM head. */
  readonly sharedParameters: number;
  readonly parameters: number;
  readonly kvBytesPerToken: number;
  readonly convStateBytes: number;
  readonly ssmStateBytes: number;
}

/** Attention mixer: q and o are D × Q·P each, k and v D × G·P each: 2·D·P·(Q + G). */
export function attentionParameters({ hidden_size: D, num_attention_heads: Q, num_key_value_heads: G, head_dim: P }: Architecture): number {
  return 2 * D * P * (Q + G);
}

/**
 * Mamba-2 mixer: in_proj R·D, out_proj D·H·P; conv W·(k + 1) if k > 0; dt_bias H, D H, A_log H (ssd only); norm H·P
 * (rms only).
 */
export function mamba2Parameters(config: Mamba2Config, hiddenSize: number): number {
  const { inProj, conv, inner } = mamba2Widths(config);
  const convolution = config.conv_kernel > 0 ? conv * (config.conv_kernel + 1) : 0;
  const perHead = (config.form === "ssd" ? 3 : 2) * config.num_heads;
  return hiddenSize * (inProj + inner) + convolution + perHead + (config.norm === "rms" ? inner : 0);
}

/** Embedding V·D, last norm D, and the LM head V·D if it is not tied to the embedding. */
export function sharedParameters({ vocab_size: V, hidden_size: D, tie_word_embeddings: tied }: Architecture): number {
  return V * D * (tied ? 1 : 2) + D;
}

/** Convolution state of a mamba2 layer: W·(k - 1) float32 (0 without convolution). */
export function convStateBytes(config: Mamba2Config): number {
  return config.conv_kernel > 0 ? mamba2Widths(config).conv * (config.conv_kernel - 1) * STATE_BYTES : 0;
}

/** SSM state of a mamba2 layer: H·N·P float32. */
export function ssmStateBytes({ num_heads: H, state_size: N, head_dim: P }: Mamba2Config): number {
  return H * N * P * STATE_BYTES;
}

/** Parameters and memory of a hybrid. Throws HybridConfigError if a layer's mixer set is not in `sets`. */
export function accountFor(config: HybridConfig, sets: MixerSets, cache: CacheType = "f32"): HybridAccount {
  const { hidden_size: D, intermediate_size: F, num_key_value_heads: G, head_dim: P } = config.architecture;
  const layers = resolveLayers(config, sets).map((resolved, layer): LayerAccount => {
    const attention = resolved.mixer === "attention";
    const mixerParameters = attention ? attentionParameters(config.architecture) : mamba2Parameters(resolved.config, D);
    return {
      layer,
      mixer: resolved.mixer,
      set: resolved.set,
      mixerParameters,
      parameters: mixerParameters + 3 * D * F + 2 * D,
      kvBytesPerToken: attention ? 2 * G * P * CACHE_BYTES[cache] : 0,
      convStateBytes: attention ? 0 : convStateBytes(resolved.config),
      ssmStateBytes: attention ? 0 : ssmStateBytes(resolved.config),
    };
  });
  const total = (value: (layer: LayerAccount) => number) => layers.reduce((sum, layer) => sum + value(layer), 0);
  const shared = sharedParameters(config.architecture) + (needsFeatures(config, sets) ? D * D : 0);
  return {
    layers,
    sharedParameters: shared,
    parameters: shared + total((layer) => layer.parameters),
    kvBytesPerToken: total((layer) => layer.kvBytesPerToken),
    convStateBytes: total((layer) => layer.convStateBytes),
    ssmStateBytes: total((layer) => layer.ssmStateBytes),
  };
}

/** Bytes of the KV cache and all Mamba states after `context` tokens. */
export function stateBytes(account: HybridAccount, context: number): number {
  return account.kvBytesPerToken * context + account.convStateBytes + account.ssmStateBytes;
}

/** Bytes of a hybrid's weights. */
export interface WeightAccount {
  /** Bytes of each layer: mixer, MLP and norms. */
  readonly layers: readonly number[];
  /** Bytes of the embedding, a feature draft's projection, the last norm and the LM head. */
  readonly shared: number;
  readonly total: number;
}

/** Sums `bytesOf` over a hybrid's tensors, by layer. `bytesOf` knows how each tensor is stored. */
export function weightBytes(
  config: HybridConfig,
  sets: MixerSets,
  bytesOf: (name: string, shape: readonly number[]) => number,
): WeightAccount {
  const layers = config.layers.map(() => 0);
  let shared = 0;
  for (const { name, shape, layer } of requiredTensors(config, sets)) {
    const bytes = bytesOf(name, shape);
    if (layer === null) shared += bytes;
    else layers[layer] = (layers[layer] ?? 0) + bytes;
  }
  return { layers, shared, total: layers.reduce((sum, bytes) => sum + bytes, shared) };
}

/** FLOPs of a pass. `layers` counts mixer and MLP of each layer. */
export interface FlopAccount {
  readonly layers: readonly number[];
  /** Of a feature draft's projection of the target's hidden states; 0 for other models. */
  readonly features: number;
  readonly lmHead: number;
  readonly total: number;
}

/**
 * FLOPs of a pass over `tokens` tokens after `past` tokens of context. Decoding is `tokens` = 1; a prefill has
 * `past` = 0. `logits` says for how many of the tokens the LM head runs ("last": one).
 *
 * A layer, with T tokens and S = T·past + T·(T+1)/2 pairs of query and key (causal, itself included):
 * attention 2·T·2·D·P·(Q + G) + 4·S·Q·P; mamba2 2·T·D·(R + H·P) + 2·T·W·k + T·H·(5·N·P + 3·P), in the recurrent form:
 * decay, outer product and sum 3·N·P, read-out 2·N·P, dt·x and the D skip 3·P (2·P in the discrete form, which has no
 * dt·x); both plus the MLP 6·T·D·F. A feature draft's projection: 2·T·D². LM head: 2·D·V a token.
 */
export function flops(
  config: HybridConfig,
  sets: MixerSets,
  pass: { tokens: number; past: number; logits: "all" | "last" },
): FlopAccount {
  const { hidden_size: D, intermediate_size: F, vocab_size: V } = config.architecture;
  const { tokens: T, past, logits } = pass;
  const layers = resolveLayers(config, sets).map((layer) => mixerFlops(config.architecture, layer, T, past) + 6 * T * D * F);
  const lmHead = 2 * D * V * (logits === "all" ? T : Math.min(T, 1));
  const features = needsFeatures(config, sets) ? 2 * T * D * D : 0;
  return { layers, features, lmHead, total: layers.reduce((sum, count) => sum + count, features + lmHead) };
}

function mixerFlops(architecture: Architecture, layer: ResolvedLayer, T: number, past: number): number {
  if (layer.mixer === "attention") {
    const pairs = T * past + (T * (T + 1)) / 2;
    return 2 * T * attentionParameters(architecture) + 4 * pairs * architecture.num_attention_heads * architecture.head_dim;
  }
  const { num_heads: H, head_dim: P, state_size: N, conv_kernel: k, form } = layer.config;
  const { inProj, conv, inner } = mamba2Widths(layer.config);
  const recurrence = H * (5 * N * P + (form === "ssd" ? 3 : 2) * P);
  return T * (2 * architecture.hidden_size * (inProj + inner) + 2 * conv * k + recurrence);
}

/** FLOPs to decode one token that attends to `context` tokens, itself included. */
export function decodeFlops(config: HybridConfig, sets: MixerSets, context: number): FlopAccount {
  return flops(config, sets, { tokens: 1, past: Math.max(0, context - 1), logits: "last" });
}

/** FLOPs to read a prompt of `tokens` tokens from an empty state, with logits for its last token. */
export function prefillFlops(config: HybridConfig, sets: MixerSets, tokens: number): FlopAccount {
  return flops(config, sets, { tokens, past: 0, logits: "last" });
}
