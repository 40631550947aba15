import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Codec, codecBytes } from "./codec-size";
import { decodeTensor, encodeTensor } from "./codecs";
import { halfTable, wordsOf } from "./f16";

const blockCodecs = ["q8_0", "q4_0", "q4_1"] as const;

/** Weights of a few blocks; each block spans zero, as weights do, and its scale is a normal half. */
const weights = fc
  .array(
    fc.tuple(
      fc.double({ min: -3, max: 2, noNaN: true }),
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 30, maxLength: 30 }),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((blocks) => new Float32Array(blocks.flatMap(([exponent, values]) => [-1, 1, ...values].map((v) => v * 10 ** exponent))));

describe("decoding", () => {
  it("follows the definition of each codec, low nibble first", () => {
    // scale 0.5 = 0x3800, min -3 = 0xc200
    const scale = new Uint8Array([0x00, 0x38]);
    const min = new Uint8Array([0x00, 0xc2]);
    const nibbles = new Uint8Array(16).map((_, byte) => byte | ((15 - byte) << 4));
    const codes = Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? i / 2 : 15 - (i - 1) / 2));
    expect([...decodeTensor("q4_0", [1, 32], { q: nibbles, scale })]).toEqual(codes.map((q) => 0.5 * (q - 8)));
    expect([...decodeTensor("q4_1", [1, 32], { q: nibbles, scale, min })]).toEqual(codes.map((q) => 0.5 * q - 3));
    const bytes = new Uint8Array(32).map((_, i) => i * 8);
    expect([...decodeTensor("q8_0", [1, 32], { q: bytes, scale })]).toEqual(Array.from(bytes, (q) => 0.5 * (q - 128)));
  });

  it("takes each block's own scale", () => {
    const values = new Float32Array(2 * 64).map((_, i) => Math.floor(i / 32) + 1);
    for (const codec of blockCodecs) {
      const decoded = decodeTensor(codec, [2, 64], encodeTensor(codec, [2, 64], values));
      for (let block = 0; block < 4; block += 1) expect(decoded[block * 32 + 5]).toBeCloseTo(block + 1, 2);
    }
  });

  it("is float32 arithmetic on half-precision scale and min, bit for bit", () => {
    const anyHalf = fc.integer({ min: 0, max: 0xffff }).filter((bits) => ((bits >> 10) & 31) !== 31);
    fc.assert(
      fc.property(anyHalf, anyHalf, fc.uint8Array({ minLength: 16, maxLength: 16 }), (scale, min, q) => {
        const parts = { q, scale: new Uint8Array([scale & 255, scale >> 8]), min: new Uint8Array([min & 255, min >> 8]) };
        const decoded = decodeTensor("q4_1", [32], parts);
        decoded.forEach((value, i) => {
          const code = (q[i >> 1]! >> (4 * (i % 2))) & 15;
          const expected = Math.fround(Math.fround(halfTable()[scale]! * code) + halfTable()[min]!);
          // Not toBe, which tells -0 from 0.
          expect(value === expected).toBe(true);
        });
      }),
    );
  });

  it("refuses parts of the wrong size, or none", () => {
    expect(() => decodeTensor("q8_0", [2, 32], { q: new Uint8Array(64), scale: new Uint8Array(2) })).toThrow(
      "The scale part of a q8_0 tensor [2, 32] has 2 bytes; it takes 4.",
    );
    expect(() => decodeTensor("f32", [4], {})).toThrow("has 0 bytes; it takes 16");
    expect(() => encodeTensor("q4_0", [2, 48], new Float32Array(96))).toThrow("multiple of 32");
    expect(() => encodeTensor("f32", [3], new Float32Array(4))).toThrow("4 values");
  });
});

describe("encoding", () => {
  it("takes the bytes that the codec's size says", () => {
    for (const codec of ["f32", "f16", ...blockCodecs] satisfies Codec[]) {
      const parts = encodeTensor(codec, [3, 64], new Float32Array(192));
      const total = Object.values(parts).reduce((sum, bytes) => sum + bytes.byteLength, 0);
      expect(total).toBe(codecBytes(codec, [3, 64]));
    }
    expect(codecBytes("q8_0", [49152, 576])).toBe(49152 * 576 + 49152 * 18 * 2);
    expect(codecBytes("q4_1", [576, 1536])).toBe(576 * 48 * 20);
  });

  it.each(blockCodecs)("%s errs by at most half a step", (codec) => {
    fc.assert(
      fc.property(weights, (values) => {
        const parts = encodeTensor(codec, [values.length], values);
        const decoded = decodeTensor(codec, [values.length], parts);
        const scales = wordsOf(parts.scale!);
        values.forEach((value, i) => {
          const step = Math.abs(halfTable()[scales[i >> 5]!]!);
          // q4_0 has no code for +8: the value opposite the largest errs by up to a step.
          const opposite = codec === "q4_0" ? 1 : 0.5;
          // A rounded scale or min shifts the ends of the range by up to 2^-11 of it.
          const slack = { q8_0: 1e-5, q4_0: 0.005, q4_1: 0.02 }[codec];
          expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual((opposite + slack) * step);
        });
      }),
    );
  });

  it.each(blockCodecs)("%s keeps what it has decoded", (codec) => {
    fc.assert(
      fc.property(weights, (values) => {
        const shape = [values.length];
        const once = decodeTensor(codec, shape, encodeTensor(codec, shape, values));
        const twice = decodeTensor(codec, shape, encodeTensor(codec, shape, once));
        expect(twice).toEqual(once);
      }),
    );
  });

  it("keeps f32 and f16 values", () => {
    const values = new Float32Array([1.5, -2, 0, 65504, 2 ** -24]);
    for (const codec of ["f32", "f16"] as const) expect(decodeTensor(codec, [5], encodeTensor(codec, [5], values))).toEqual(values);
    const third = new Float32Array([1 / 3]);
    expect(decodeTensor("f32", [1], encodeTensor("f32", [1], third))).toEqual(third);
  });

  it("survives blocks of one value, zero too", () => {
    for (const codec of blockCodecs) {
      expect(decodeTensor(codec, [32], encodeTensor(codec, [32], new Float32Array(32)))).toEqual(new Float32Array(32));
      const ones = decodeTensor(codec, [32], encodeTensor(codec, [32], new Float32Array(32).fill(-1)));
      for (const value of ones) expect(value).toBeCloseTo(-1, 3);
    }
  });
});
