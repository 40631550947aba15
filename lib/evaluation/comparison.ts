/** From two models' distributions over one text to what the explorer shows. */
import type { Distributions } from "./distributions";
import { type Comparison, TOP, type Totals } from "./types";

/** `kl`: KL(teacher || student) at each position, nat. */
export function compareDistributions(layers: readonly string[], teacher: Distributions, student: Distributions, kl: Float32Array): Comparison {
  const agree = Uint8Array.from(kl, (_, t) => Number(teacher.topIds[t * TOP] === student.topIds[t * TOP]));
  return {
    layers: [...layers],
    totals: totalsOf(kl, agree, student.logProbability, teacher.logProbability),
    kl,
    agree,
    logProbability: student.logProbability,
    teacherLogProbability: teacher.logProbability.slice(),
    top: { ids: student.topIds, probabilities: student.topProbabilities },
    teacherTop: { ids: teacher.topIds.slice(), probabilities: teacher.topProbabilities.slice() },
  };
}

/** Totals over the positions that have a next token; arguments are a number a position of the text. */
export function totalsOf(kl: Float32Array, agree: Uint8Array, logProbability: Float32Array, teacherLogProbability: Float32Array): Totals {
  const positions = Math.max(1, kl.length - 1);
  const [student, teacher] = [perplexity(logProbability), perplexity(teacherLogProbability)];
  return {
    positions,
    kl: mean(kl.subarray(0, positions)),
    agreement: mean(agree.subarray(0, positions)),
    perplexity: student,
    teacherPerplexity: teacher,
    ratio: student === null || teacher === null ? null : student / teacher,
  };
}

/** exp of the mean negative log-probability; null for a text of one token. `logProbability` has NaN at the last position. */
export function perplexity(logProbability: Float32Array): number | null {
  return logProbability.length < 2 ? null : Math.exp(-mean(logProbability.subarray(0, -1)));
}

const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};
