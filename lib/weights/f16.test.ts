import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeHalves, encodeHalves, halfBits, halfTable } from "./f16";

describe("half precision", () => {
  it("decodes known patterns", () => {
    const known: [number, number][] = [
      [0x0000, 0], [0x0001, 2 ** -24], [0x03ff, 1023 * 2 ** -24], [0x0400, 2 ** -14], [0x3555, 0.333251953125],
      [0x3c00, 1], [0xc000, -2], [0x7bff, 65504], [0x7c00, Infinity], [0xfc00, -Infinity], [0x7e00, NaN],
    ];
    for (const [bits, value] of known) expect(halfTable()[bits]).toBe(value);
    expect(Object.is(halfTable()[0x8000], -0)).toBe(true);
  });

  it("encodes each of its values to its own bits", () => {
    for (let bits = 0; bits < 65536; bits += 1) {
      const value = halfTable()[bits]!;
      if (!Number.isNaN(value)) expect(halfBits(value)).toBe(bits);
    }
    expect(halfTable()[halfBits(NaN)]).toBeNaN();
  });

  it("rounds to the nearest value, ties to even", () => {
    // Neighbours are adjacent bit patterns; their middle is exact in float32.
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7bfe }), fc.double({ min: 0, max: 1, noNaN: true }), (bits, at) => {
        const low = halfTable()[bits]!;
        const high = halfTable()[bits + 1]!;
        const middle = (low + high) / 2;
        expect(halfBits(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
        const value = Math.fround(low + at * (high - low));
        if (value !== middle) expect(halfBits(value)).toBe(value < middle ? bits : bits + 1);
        expect(halfBits(-value)).toBe(halfBits(value) | 0x8000);
      }),
      { numRuns: 2000 },
    );
    expect(halfBits(65519.996)).toBe(0x7bff);
    expect(halfBits(65520)).toBe(0x7c00);
  });

  it("reads bytes that are not aligned", () => {
    const bytes = encodeHalves(new Float32Array([1, -2, 0.5]));
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...decodeHalves(shifted.subarray(1))]).toEqual([1, -2, 0.5]);
  });
});
