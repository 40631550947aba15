/** Which drafts the target accepts, and its own token behind them. */
import type { Random } from "../random";
import { best, type SamplingOptions } from "../sampler";
import { denseDistribution, drawFrom, penalised, probabilityOf } from "./probability";

export type Draft = {
  readonly token: number;
  /** Probability of `token` under the draft: 1 if it was not drawn but certain. */
  readonly q: number;
  /** What it was drawn from, over the first tokens of the vocabulary; null if it was certain (greedy, or looked up). */
  readonly distribution: Float64Array | null;
};

export type Verdict = {
  readonly accepted: number;
  /** The target's own token: in place of the first rejected draft, or behind them all. */
  readonly token: number;
  /** The target's probabilities: of each accepted draft and the first rejected one, and of its own token. NaN where they are not wanted. */
  readonly draftProbabilities: readonly number[];
  readonly probability: number;
};

export type VerdictOptions = {
  readonly sampling: SamplingOptions;
  readonly random: Random;
  /** Greedy verdicts need no probabilities; they are told if wanted. */
  readonly probabilities: boolean;
};

/**
 * `row(i)`: the target's logits after the i-th draft (0: before any). `context`: the tokens before the drafts.
 *
 * Greedy, a draft is accepted if it is the target's choice, so that the tokens are those of plain decoding. Drawn, a draft is accepted with
 * probability min(1, p/q), and a rejected one is replaced by a draw from max(0, p - q), so that every token is distributed as the target's
 * own (Leviathan, Kalman and Matias, 2023, appendix A.1). A certain draft has q = 1 at its token.
 */
export function decide(drafts: readonly Draft[], row: (index: number) => Float32Array, context: readonly number[], options: VerdictOptions): Verdict {
  return options.sampling.temperature === 0 ? greedy(drafts, row, context, options) : drawn(drafts, row, context, options);
}

/** The greedy verdict where the target's choices are known: behind the last token, and behind each draft. `row` as for `decide`, or null where probabilities are not wanted. */
export function decideByChoices(drafts: readonly Draft[], choices: readonly number[], row: ((index: number) => Float32Array) | null): Verdict {
  let accepted = 0;
  while (accepted < drafts.length && drafts[accepted]!.token === choices[accepted]) accepted++;
  const probability = (index: number, token: number): number => (row ? probabilityOf(row(index), token) : NaN);
  const token = choices[accepted];
  if (token === undefined) throw new RangeError(`${choices.length} choices for ${drafts.length} drafts.`);
  return { accepted, token, draftProbabilities: drafts.slice(0, accepted + 1).map((draft, index) => probability(index, draft.token)), probability: probability(accepted, token) };
}

function greedy(drafts: readonly Draft[], row: (index: number) => Float32Array, context: readonly number[], { sampling, probabilities }: VerdictOptions): Verdict {
  const draftProbabilities: number[] = [];
  const before = [...context];
  for (let index = 0; ; index++) {
    const logits = row(index);
    const choice = best(penalised(logits, before, sampling));
    const draft = drafts[index];
    const probability = (token: number): number => (probabilities ? probabilityOf(logits, token) : NaN);
    if (draft) draftProbabilities.push(probability(draft.token));
    if (draft?.token !== choice) return { accepted: index, token: choice, draftProbabilities, probability: probability(choice) };
    before.push(choice);
  }
}

function drawn(drafts: readonly Draft[], row: (index: number) => Float32Array, context: readonly number[], { sampling, random }: VerdictOptions): Verdict {
  const draftProbabilities: number[] = [];
  const before = [...context];
  for (const [index, { token, q, distribution }] of drafts.entries()) {
    const target = denseDistribution(row(index), before, sampling);
    const p = target[token] ?? 0;
    draftProbabilities.push(p);
    if (random.next() * q >= p) {
      const { weights, total } = residual(target, token, distribution);
      const corrected = drawFrom(weights, total, random);
      return { accepted: index, token: corrected, draftProbabilities, probability: weights[corrected]! / total };
    }
    before.push(token);
  }
  const target = denseDistribution(row(drafts.length), before, sampling);
  const token = drawFrom(target, 1, random);
  return { accepted: drafts.length, token, draftProbabilities, probability: target[token]! };
}

/** max(0, p - q), not normalised. Rounding can leave nothing where p and q are equal: then p itself serves. */
function residual(target: Float64Array, token: number, draft: Float64Array | null): { weights: Float64Array; total: number } {
  const weights = target.slice();
  if (draft === null) weights[token] = 0;
  else for (let index = 0; index < draft.length; index++) weights[index] = Math.max(0, weights[index]! - draft[index]!);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return total > 0 ? { weights, total } : { weights: target, total: 1 };
}
