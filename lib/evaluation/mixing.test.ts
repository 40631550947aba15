import { describe, expect, it } from "vitest";
import { decayOf, matrixDistance, type MixerParts, mixingMatrix, stateNorms } from "./mixing";

const shape = { T: 17, H: 4, G: 2, P: 5, N: 3 };

function random(seed: number): () => number {
  let state = seed;
  return () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * 2 - 1;
}

function partsOf(step: boolean): MixerParts {
  const next = random(step ? 1 : 2);
  const { T, H, G, P, N } = shape;
  const fill = (count: number, map = (value: number): number => value): Float32Array => Float32Array.from({ length: count }, () => map(next()));
  return { ...shape, C: fill(T * H * N), B: fill(T * G * N), x: fill(T * G * P), logDecay: fill(T * H, (value) => -Math.exp(2 * value)), step: step ? fill(T * H, Math.exp) : null };
}

/** The recurrence itself, in float64: outputs y_t = S_tᵀ C_t and norms of S_t of one head. */
function recurrence({ T, H, G, P, N, C, B, logDecay, step, x }: MixerParts, head: number): { y: number[][]; norms: number[] } {
  const group = Math.floor(head / (H / G));
  const state = Array.from({ length: N }, () => new Array<number>(P).fill(0));
  const [y, norms]: [number[][], number[]] = [[], []];
  for (let t = 0; t < T; t++) {
    const [keep, gain] = [Math.exp(logDecay[t * H + head]!), step ? step[t * H + head]! : 1];
    for (let n = 0; n < N; n++) for (let p = 0; p < P; p++) state[n]![p] = keep * state[n]![p]! + gain * B[(t * G + group) * N + n]! * x[(t * G + group) * P + p]!;
    y.push(Array.from({ length: P }, (_, p) => state.reduce((sum, row, n) => sum + C[(t * H + head) * N + n]! * row[p]!, 0)));
    norms.push(Math.hypot(...state.flat()));
  }
  return { y, norms };
}

describe.each([
  ["with dt", true],
  ["without dt", false],
])("the matrix of a mixer %s", (_, step) => {
  const parts = partsOf(step);
  const { T, H, G, P } = shape;

  it("times x is the recurrence's output, and is causal", () => {
    for (let head = 0; head < H; head++) {
      const matrix = new Float32Array(T * T).fill(NaN);
      mixingMatrix(parts, head, matrix);
      const { y } = recurrence(parts, head);
      const group = Math.floor(head / (H / G));
      for (let t = 0; t < T; t++) {
        for (let s = t + 1; s < T; s++) expect(matrix[t * T + s]).toBe(0);
        for (let p = 0; p < P; p++) {
          let sum = 0;
          for (let s = 0; s <= t; s++) sum += matrix[t * T + s]! * parts.x[(s * G + group) * P + p]!;
          expect(Math.abs(sum - y[t]![p]!)).toBeLessThan(1e-5);
        }
      }
    }
  });

  it("its state's norm and decay are the recurrence's", () => {
    const decay = decayOf(parts);
    for (let head = 0; head < H; head++) {
      const norms = new Float32Array(T);
      stateNorms(parts, head, norms);
      recurrence(parts, head).norms.forEach((norm, t) => expect(Math.abs(norms[t]! - norm)).toBeLessThan(1e-5));
      for (let t = 0; t < T; t++) expect(decay[head * T + t]).toBeCloseTo(Math.exp(parts.logDecay[t * H + head]!), 6);
    }
  });
});

it("keeps apart tokens that lie beyond what float32 can say of their decay", () => {
  const parts = partsOf(false);
  const strong = { ...parts, logDecay: parts.logDecay.map(() => -60) };
  const matrix = new Float32Array(shape.T ** 2);
  mixingMatrix(strong, 0, matrix);
  expect(matrix.every(Number.isFinite)).toBe(true);
  expect(matrix[16 * 17 + 16]).not.toBe(0);
  expect(Math.abs(matrix[16 * 17]!)).toBe(0);
});

it("distance: nothing between equals, all of it to zero, cosine blind to scale", () => {
  const a = Float32Array.of(1, 2, 0, 2);
  expect(matrixDistance(a, a)).toEqual({ relativeError: 0, cosine: 1 });
  expect(matrixDistance(a, new Float32Array(4))).toEqual({ relativeError: 1, cosine: 0 });
  expect(matrixDistance(a, a.map((value) => -3 * value))).toEqual({ relativeError: 4, cosine: -1 });
});
