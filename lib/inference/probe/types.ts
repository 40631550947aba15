/** What the layer probe gives: see `Probe`. */
import type { MemoryReport } from "../model";

export type { Comparison, LayerDistance, LayerSensitivity } from "@/lib/evaluation/types";

export type ProbeInfo = {
  readonly family: string;
  readonly title: string;
  readonly layers: number;
  readonly heads: number;
  readonly groups: number;
  /** Mixer sets that hold at least one layer, drafts aside, each with the layers that it holds. */
  readonly sets: readonly { readonly name: string; readonly layers: readonly number[] }[];
  /** Variants of the family, drafts aside. */
  readonly variants: readonly { readonly name: string; readonly title: string; readonly layers: readonly string[] }[];
  /** The most tokens of a text. */
  readonly maxTokens: number;
  readonly vocabularySize: number;
  readonly provider: "webgpu" | "wasm";
  readonly providerReason: string;
  readonly threads: number;
  readonly warnings: readonly string[];
  readonly memory: Pick<MemoryReport, "weightBytes" | "bundleBytes" | "heapBytes">;
  readonly loadMs: number;
};

/** A text as the models read it. */
export type ProbeText = {
  readonly tokens: readonly number[];
  /** The text of each token, as it stands in the whole text (a token may be part of a character: then empty until it is complete). */
  readonly pieces: readonly string[];
  /** Tokens that were cut off to keep to `maxTokens`. */
  readonly dropped: number;
  /** Teacher's perplexity on the text. */
  readonly teacherPerplexity: number | null;
  readonly milliseconds: number;
};

/** One layer's two mixers on the teacher's activations, head by head. Matrices are (H, T, T) in row-major order, entry [h, t, s] = weight of source s at target t. */
export type LayerInside = {
  readonly layer: number;
  readonly set: string;
  readonly heads: number;
  readonly tokens: number;
  /** Softmax attention. Rows sum to 1; zero above the diagonal. */
  readonly attention: Float32Array;
  /** L ∘ (C Bᵀ), times dt where the mixer has it (arXiv 2405.21060, section 3; MOHAWK's stage 1): signed, rows do not sum to 1. D is on the diagonal of none. */
  readonly mamba: Float32Array;
  /** exp(dt A) a head and token, (H, T): what the state keeps, 0..1. */
  readonly decay: Float32Array;
  /** Frobenius norm of the state after each token, (H, T). */
  readonly stateNorm: Float32Array;
  /** ||attention - mamba||_F / ||attention||_F a head, and the cosine of both as vectors. */
  readonly relativeError: Float32Array;
  readonly cosine: Float32Array;
};

/** Progress of a probe's request: layers done of those to do. */
export type ProbeProgress = { readonly phase: string; readonly done: number; readonly total: number; readonly unit: "bytes" | "layers" | "tokens" | "steps"; readonly message: string };
