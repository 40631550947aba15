/** Drawing the next token from logits. */
import { Random } from "./random";

export type SamplingOptions = {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** 1: off. */
  readonly repetitionPenalty: number;
};

/** Tokens that may be drawn with their probabilities, most probable first if any filter is on. */
export type Distribution = { readonly tokens: ArrayLike<number>; readonly probabilities: ArrayLike<number> };

export type Draw = {
  readonly token: number;
  /** Natural logarithm of the token's probability under the model itself: before penalty, temperature and filters. */
  readonly logProbability: number;
};

/** Candidates are searched down to this many units of temperature below the best logit, then this many further, until enough are found. */
const SEARCH_STEP = 8;

/** Draws tokens; equal seeds and equal logits give equal draws. */
export class Sampler {
  private readonly random: Random;

  constructor(
    private readonly options: SamplingOptions,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** `context`: the tokens of prompt and answer so far, for the repetition penalty. `logits` are not changed. */
  draw(logits: Float32Array, context: Iterable<number>): Draw {
    const token = this.choose(penalise(logits, context, this.options.repetitionPenalty));
    return { token, logProbability: (logits[token] ?? NaN) - logSumExp(logits) };
  }

  private choose(logits: Float32Array): number {
    if (this.options.temperature === 0) return best(logits);
    const { tokens, probabilities } = distribution(logits, this.options);
    let rest = this.random.next();
    for (let index = 0; index < tokens.length; index++) {
      rest -= probabilities[index] ?? 0;
      if (rest < 0) return tokens[index] ?? 0;
    }
    return tokens[tokens.length - 1] ?? 0; // rounding left a crumb
  }
}

/** The token of the greatest logit; of equals, the first. */
export function best(logits: Float32Array): number {
  let index = 0;
  for (let candidate = 1; candidate < logits.length; candidate++) if (logits[candidate]! > logits[index]!) index = candidate;
  return index;
}

/** Divides the positive logits of tokens that occurred by `penalty` and multiplies their negative ones (Keskar et al., 2019). */
export function penalise(logits: Float32Array, context: Iterable<number>, penalty: number): Float32Array {
  if (penalty === 1) return logits;
  const out = logits.slice();
  for (const token of new Set(context)) {
    const value = out[token];
    if (value !== undefined) out[token] = value > 0 ? value / penalty : value * penalty;
  }
  return out;
}

/**
 * The distribution that a token is drawn from: softmax at the temperature, then top-k, top-p and min-p in this order, each on what
 * the one before left, made to sum to one. Temperature must be positive.
 */
export function distribution(logits: Float32Array, { temperature, topK, topP, minP }: SamplingOptions): Distribution {
  const highest = logits[best(logits)] ?? 0;
  const weight = (token: number): number => Math.exp(((logits[token] ?? -Infinity) - highest) / temperature);
  const limit = topK > 0 ? Math.min(topK, logits.length) : logits.length;
  if (limit === logits.length && topP === 1 && minP === 0) {
    const probabilities = Float64Array.from(logits, (_, token) => weight(token));
    const total = probabilities.reduce((sum, value) => sum + value, 0);
    return { tokens: Array.from(logits.keys()), probabilities: probabilities.map((value) => value / total) };
  }

  // Without top-k, top-p counts against the mass of the whole vocabulary, though only its head is sorted.
  const whole = limit === logits.length ? logits.reduce((sum, _, token) => sum + weight(token), 0) : null;
  let kept = search(logits, highest, temperature, (tokens, floor) => {
    if (whole === null) return tokens.length >= limit;
    if (topP < 1) return tokens.reduce((sum, token) => sum + weight(token), 0) >= topP * whole;
    return floor <= minP;
  }).slice(0, limit);

  const mass = whole ?? kept.reduce((sum, token) => sum + weight(token), 0);
  if (topP < 1) {
    let reached = 0;
    const end = kept.findIndex((token) => (reached += weight(token)) >= topP * mass);
    if (end >= 0) kept = kept.slice(0, end + 1);
  }
  if (minP > 0) kept = kept.filter((token) => weight(token) >= minP);
  const weights = kept.map(weight);
  const total = weights.reduce((sum, value) => sum + value, 0);
  return { tokens: kept, probabilities: weights.map((value) => value / total) };
}

/**
 * Tokens in order of falling logit, down to the first floor at which `enough` holds. Sorting the few candidates above a floor is far
 * cheaper than sorting the vocabulary. The floor is given as a weight relative to the best token.
 */
function search(logits: Float32Array, highest: number, temperature: number, enough: (tokens: number[], floor: number) => boolean): number[] {
  for (let depth = SEARCH_STEP; ; depth += SEARCH_STEP) {
    const lowest = highest - depth * temperature;
    const tokens: number[] = [];
    for (let token = 0; token < logits.length; token++) if (logits[token]! >= lowest) tokens.push(token);
    tokens.sort((a, b) => logits[b]! - logits[a]! || a - b);
    if (tokens.length === logits.length || Math.exp(-depth) === 0 || enough(tokens, Math.exp(-depth))) return tokens;
  }
}

/** log Σ exp, stable. */
export function logSumExp(logits: Float32Array): number {
  let highest = -Infinity;
  for (const value of logits) if (value > highest) highest = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}
