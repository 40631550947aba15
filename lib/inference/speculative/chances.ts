/** How likely drafts are accepted, learnt from those that the target decided on. */
import type { Draft } from "./acceptance";

/** Variances of the weights before any draft was decided, and by how much each cycle lets them grow: about a hundred are remembered. */
const PRIOR = [1, 0.3, 0.3] as const;
const DRIFT = [2e-4, 5e-5, 5e-5] as const;

/** Standard deviations that are hoped for. */
const HOPE = 0.5;

/** A draft's own probability is bounded before its logarithm is taken: beyond, it says no more. */
const SUREST = 0.995;

/**
 * P(accepted) = sigmoid(w · (1, logit q, [not the cycle's first])): a draft's own probability q, calibrated (Platt, 1999) as the cycles go on. Each decision
 * is one step of an extended Kalman filter, so that early decisions count much, later ones less, and what changed is forgotten.
 */
export class Chances {
  private readonly weights: [number, number, number] = [0, 1, 0];
  private readonly covariance: number[][] = PRIOR.map((variance, row) => PRIOR.map((_, column) => (row === column ? variance : 0)));

  /**
   * Of the draft with probability `q` in a place of its cycle, from 0, if all before it were accepted; as high as it may well be, so that drafts of which
   * little is known are tried, and not given up by chance.
   */
  of(q: number, place: number): number {
    const factors = factorsOf(q, place);
    return sigmoid(dot(this.weights, factors) + HOPE * Math.sqrt(Math.max(0, dot(this.spread(factors), factors))));
  }

  learn({ q }: Pick<Draft, "q">, place: number, accepted: boolean): void {
    const { weights, covariance } = this;
    const factors = factorsOf(q, place);
    const chance = sigmoid(dot(weights, factors));
    const spread = this.spread(factors);
    const information = Math.max(chance * (1 - chance), 0.02);
    const scale = 1 / (1 + information * dot(spread, factors));
    weights.forEach((weight, index) => (weights[index] = weight + scale * spread[index]! * ((accepted ? 1 : 0) - chance)));
    covariance.forEach((row, i) => row.forEach((value, j) => (row[j] = value - scale * information * spread[i]! * spread[j]!)));
  }

  /** A cycle goes by: what was learnt grows older. */
  age(): void {
    DRIFT.forEach((drift, index) => {
      const row = this.covariance[index]!;
      row[index] = Math.min(PRIOR[index]!, row[index]! + drift);
    });
  }

  private spread(factors: readonly number[]): number[] {
    return this.covariance.map((row) => dot(row, factors));
  }
}

function factorsOf(q: number, place: number): readonly number[] {
  const bounded = Math.min(SUREST, Math.max(1 - SUREST, q));
  return [1, Math.log(bounded / (1 - bounded)), place > 0 ? 1 : 0];
}

const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
