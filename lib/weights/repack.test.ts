import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeTensor, encodeTensor, type TensorBytes } from "./codecs";
import { encodeHalves, halfTable, wordsOf } from "./f16";
import { dequantize, requantizeAffine, splitAffine, symmetricBlocks } from "./repack";

/** Normally distributed values from a fixed seed. */
function gaussian(count: number, seed: number, spread: number): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return new Float32Array(count).map(() => spread * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** Any finite scale and minimum, any codes: more than an encoder would write. */
const anyBlock = fc
  .record({
    scale: fc.double({ min: -4, max: 4, noNaN: true }).map((x) => Math.sign(x) * 10 ** -Math.abs(x)),
    ratio: fc.double({ min: -400, max: 400, noNaN: true }),
    q: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  })
  .map(({ scale, ratio, q }): TensorBytes => ({
    q,
    scale: encodeHalves(new Float32Array([scale])),
    min: encodeHalves(new Float32Array([scale * ratio])),
  }));

describe("MatMulNBits forms", () => {
  it.each(["q8_0", "q4_0"] as const)("%s needs no new codes", (codec) => {
    const parts = encodeTensor(codec, [8, 96], gaussian(768, 1, 0.02));
    const blocks = symmetricBlocks(codec, [8, 96], parts);
    expect(blocks.B).toBe(parts.q);
    expect(dequantize(blocks)).toEqual(decodeTensor(codec, [8, 96], parts));
  });

  it("split q4_1 gives the same product as the decoded matrix", () => {
    const [N, K] = [6, 64];
    const parts = encodeTensor("q4_1", [N, K], gaussian(N * K, 2, 0.05));
    const { symmetric, constants } = splitAffine([N, K], parts);
    const W = decodeTensor("q4_1", [N, K], parts);
    const symmetricW = dequantize(symmetric);
    const x = gaussian(K, 3, 1);
    for (let row = 0; row < N; row += 1) {
      let whole = 0;
      let split = 0;
      for (let k = 0; k < K; k += 1) {
        whole += W[row * K + k]! * x[k]!;
        split += symmetricW[row * K + k]! * x[k]!;
      }
      for (let block = 0; block < K / 32; block += 1) {
        const sum = x.subarray(block * 32, block * 32 + 32).reduce((total, value) => total + value, 0);
        split += sum * constants[(row * K) / 32 + block]!;
      }
      expect(split).toBeCloseTo(whole, 5);
    }
  });

  it("requantised q4_1 errs by at most 1/34 of a step where blocks span zero", () => {
    const shape = [64, 576];
    const parts = encodeTensor("q4_1", shape, gaussian(64 * 576, 4, 0.02));
    const W = decodeTensor("q4_1", shape, parts);
    const again = dequantize(requantizeAffine(shape, parts));
    const scales = wordsOf(parts.scale!);
    let squared = 0;
    let power = 0;
    W.forEach((value, i) => {
      const step = halfTable()[scales[i >> 5]!]!;
      expect(Math.abs(again[i]! - value)).toBeLessThanOrEqual(step / 34 + 1e-6 * step);
      squared += (again[i]! - value) ** 2;
      power += value ** 2;
    });
    const relative = Math.sqrt(squared / power);
    // The error that q4_1 itself makes is about 0.08 of the weights' root mean square.
    expect(relative).toBeLessThan(0.005);
    expect(relative).toBeGreaterThan(0);
  });

  it("requantises any block within the best that 8 bits from zero can do", () => {
    fc.assert(
      fc.property(anyBlock, (parts) => {
        const W = decodeTensor("q4_1", [1, 32], parts);
        const blocks = requantizeAffine([1, 32], parts);
        const ends = [0, halfTable()[wordsOf(parts.min!)[0]!]!];
        ends.push(ends[1]! + 15 * halfTable()[wordsOf(parts.scale!)[0]!]!);
        const span = Math.max(...ends) - Math.min(...ends);
        const again = dequantize(blocks);
        W.forEach((value, i) => expect(Math.abs(again[i]! - value)).toBeLessThanOrEqual(span / 30 + 1e-6 * span));
        if (halfTable()[wordsOf(parts.scale!)[0]!] === 0) expect(again.every((value, i) => value === W[i])).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("wants a matrix", () => {
    expect(() => symmetricBlocks("q8_0", [32], encodeTensor("q8_0", [32], new Float32Array(32)))).toThrow("a matrix");
  });
});
