/** What a comparison of a hybrid with its teacher on one text holds. Position t predicts token t+1; distributions are over the vocabulary. */

/** How many of the likeliest tokens are kept of each model at each position. */
export const TOP = 5;

/** Sums over a text, from which its perplexity and agreement follow. */
export type Totals = {
  /** Positions that have a next token, over which all of these are taken, as the trainer's evaluation does (in a text of one token: that one). */
  readonly positions: number;
  /** Mean KL(teacher || student), nat a token. */
  readonly kl: number;
  /** Share of positions where both models' likeliest token is the same. */
  readonly agreement: number;
  /** Perplexity of the text's tokens after the first, given those before; null for a text of one token. */
  readonly perplexity: number | null;
  readonly teacherPerplexity: number | null;
  /** perplexity / teacherPerplexity. */
  readonly ratio: number | null;
};

/** A hybrid beside its teacher, position by position. Arrays are of length T, or T x TOP in row-major order. */
export type Comparison = {
  /** Layer specs of the hybrid. */
  readonly layers: readonly string[];
  readonly totals: Totals;
  /** KL(teacher || student) at each position, nat. */
  readonly kl: Float32Array;
  /** 1 where both models' likeliest token is the same. */
  readonly agree: Uint8Array;
  /** Log-probability of the next token of the text, nat; NaN at the last position. */
  readonly logProbability: Float32Array;
  readonly teacherLogProbability: Float32Array;
  /** Likeliest tokens and their probabilities, likeliest first. */
  readonly top: { readonly ids: Int32Array; readonly probabilities: Float32Array };
  readonly teacherTop: { readonly ids: Int32Array; readonly probabilities: Float32Array };
};

/** How far a layer's Mamba mixer is from its attention on the teacher's own activations of this text. */
export type LayerDistance = {
  readonly layer: number;
  /** ||mamba(u) - attention(u)|| / ||attention(u)||. */
  readonly relativeError: number;
  /** Mean over the tokens of the cosine between both outputs. */
  readonly cosine: number;
};

/** What replacing this layer alone costs on this text. */
export type LayerSensitivity = { readonly layer: number; readonly kl: number; readonly agreement: number };
