import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareDistributions, perplexity } from "./comparison";
import { outputDistance } from "./distance";
import { Distributions, divergence } from "./distributions";

const logit = fc.float({ min: -30, max: 30, noNaN: true });
const row = (size: number) => fc.array(logit, { minLength: size, maxLength: size }).map((values) => Float32Array.from(values));

/** Softmax in float64, shifted by the greatest logit. */
function softmax(logits: Float32Array): number[] {
  const highest = Math.max(...logits);
  const exponentials = Array.from(logits, (value) => Math.exp(value - highest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

describe("a distribution from logits", () => {
  it("its five likeliest tokens, their probabilities, and the next token's", () =>
    fc.assert(
      fc.property(row(12), fc.nat(11), (logits, next) => {
        const kept = new Distributions([0, next]);
        kept.set(0, logits);
        const p = softmax(logits);
        const order = p.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
        expect(Array.from(kept.topIds.subarray(0, 5))).toEqual(order.slice(0, 5));
        order.slice(0, 5).forEach((id, place) => expect(kept.topProbabilities[place]).toBeCloseTo(p[id]!, 6));
        expect(Math.abs(kept.logProbability[0]! - (logits[next]! - kept.logNormaliser[0]!))).toBeLessThan(1e-5);
        expect(Math.abs(Math.exp(logits[next]! - kept.logNormaliser[0]!) - p[next]!)).toBeLessThan(1e-12);
        expect(kept.logProbability[1]).toBeNaN();
      }),
    ));

  it("a vocabulary smaller than what is kept leaves the rest marked as none", () => {
    const kept = new Distributions([0]);
    kept.set(0, Float32Array.of(0, 1, 0));
    expect(Array.from(kept.topIds)).toEqual([1, 0, 2, -1, -1]);
    expect(kept.topProbabilities[3]).toBe(0);
  });
});

it("divergence: its definition, never negative, zero for a shift of all logits", () =>
  fc.assert(
    fc.property(row(9), row(9), logit, (teacher, student, shift) => {
      const normaliser = (logits: Float32Array): number => {
        const kept = new Distributions([0]);
        kept.set(0, logits);
        return kept.logNormaliser[0]!;
      };
      const [p, q] = [softmax(teacher), softmax(student)];
      const expected = p.reduce((sum, value, id) => (value > 0 ? sum + value * Math.log(value / q[id]!) : sum), 0);
      const found = divergence(teacher, normaliser(teacher), student, normaliser(student));
      expect(found).toBeGreaterThanOrEqual(0);
      expect(Math.abs(found - expected)).toBeLessThan(1e-9 * Math.max(1, expected));
      const shifted = teacher.map((value) => Math.fround(value + Math.fround(shift)));
      expect(divergence(teacher, normaliser(teacher), shifted, normaliser(shifted))).toBeLessThan(1e-4);
    }),
  ));

it("totals leave out the last position, which has no next token", () => {
  const [teacher, student] = [new Distributions([0, 1, 0]), new Distributions([0, 1, 0])];
  const rows = [Float32Array.of(2, 0), Float32Array.of(0, 1), Float32Array.of(5, 0)];
  rows.forEach((logits, t) => (teacher.set(t, logits), student.set(t, t === 1 ? logits : logits.map((value) => -value))));
  const { totals, agree } = compareDistributions(["x"], teacher, student, Float32Array.of(0.3, 0, 9));
  expect(Array.from(agree)).toEqual([0, 1, 0]);
  expect(totals.positions).toBe(2);
  expect(totals.kl).toBeCloseTo(0.15, 6);
  expect(totals.agreement).toBe(0.5);
  const log = (a: number, b: number): number => a - Math.log(Math.exp(a) + Math.exp(b));
  expect(totals.teacherPerplexity).toBeCloseTo(Math.exp(-(log(0, 2) + log(0, 1)) / 2), 5);
  expect(totals.perplexity).toBeCloseTo(Math.exp(-(log(0, -2) + log(0, 1)) / 2), 5);
  expect(perplexity(Float32Array.of(NaN))).toBeNull();
});

it("distance of outputs: relative error over all numbers, cosine a row", () => {
  const [a, b] = [Float32Array.of(3, 4, 0, 5), Float32Array.of(6, 8, 5, 0)];
  const { relativeError, cosine } = outputDistance(a, b, 2);
  expect(relativeError).toBeCloseTo(Math.sqrt((25 + 50) / 50), 6);
  expect(cosine).toBeCloseTo(0.5, 6);
});
