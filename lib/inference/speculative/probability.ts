/** Probabilities of single tokens, and distributions over the whole vocabulary. */
import type { Random } from "../random";
import { best, type Distribution, distribution, penalise, type SamplingOptions } from "../sampler";

/** Terms of the softmax's sum under e^-24 of the greatest are left out: a vocabulary of them is worth 2e-6. */
const NEGLIGIBLE = 24;

/** Softmax of `logits` at `token`, to six digits. */
export function probabilityOf(logits: Float32Array, token: number): number {
  const highest = logits[best(logits)]!;
  const floor = highest - NEGLIGIBLE;
  let sum = 0;
  for (let index = 0; index < logits.length; index++) if (logits[index]! > floor) sum += Math.exp(logits[index]! - highest);
  return Math.exp((logits[token] ?? -Infinity) - highest) / sum;
}

/** The logits that the choice is made from, after the tokens `context`. */
export function penalised(logits: Float32Array, context: readonly number[], { repetitionPenalty }: SamplingOptions): Float32Array {
  return penalise(logits, context, repetitionPenalty);
}

/** What the next token is drawn from, one probability a token of the vocabulary. Temperature must be positive. */
export function denseDistribution(logits: Float32Array, context: readonly number[], sampling: SamplingOptions): Float64Array {
  const { tokens, probabilities }: Distribution = distribution(penalised(logits, context, sampling), sampling);
  const dense = new Float64Array(logits.length);
  for (let index = 0; index < tokens.length; index++) dense[tokens[index]!] = probabilities[index]!;
  return dense;
}

/** Draws a token in proportion to `weights`, whose sum is `total`. */
export function drawFrom(weights: Float64Array, total: number, random: Random): number {
  let rest = random.next() * total;
  let last = 0;
  for (let token = 0; token < weights.length; token++) {
    const weight = weights[token]!;
    if (weight <= 0) continue;
    rest -= weight;
    if (rest < 0) return token;
    last = token;
  }
  return last; // rounding left a crumb
}
