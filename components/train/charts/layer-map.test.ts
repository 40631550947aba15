import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { paintLayers, scaleFor, shareOf, valueAt } from "./layer-map";

const rows = [
  { layer: 1, places: [0, 10, 20], values: [1, 0.5, 0] },
  { layer: 3, places: [10, 20], values: [0.25, Number.NaN] },
];
const colours = Uint32Array.from({ length: 101 }, (_, index) => index + 1);

describe("the map of layers", () => {
  it("gives each pixel its nearest entry, and nothing where nothing was measured", () => {
    const pixels = new Uint32Array(2 * 20);
    paintLayers(pixels, 20, rows, [0, 20], { low: 0, high: 1, log: false }, colours);
    expect([...pixels.subarray(0, 5)].every((pixel) => pixel === 101)).toBe(true);
    expect([...pixels.subarray(6, 15)].every((pixel) => pixel === 51)).toBe(true);
    expect([...pixels.subarray(15, 20)].every((pixel) => pixel === 1)).toBe(true);
    expect([...pixels.subarray(20, 28)].every((pixel) => pixel === 0)).toBe(true);
    expect(pixels[20 + 11]).toBe(26);
    expect(pixels[39]).toBe(0);
  });

  it("spreads its colours over what is in sight", () => {
    expect(scaleFor(rows, [0, 20], true)).toEqual({ low: 0.25, high: 1, log: true });
    expect(scaleFor(rows, [5, 20], false)).toEqual({ low: 0, high: 0.5, log: false });
    expect(scaleFor([], [0, 1], true)).toEqual({ low: 0, high: 1, log: false });
    const ends = fc.tuple(fc.double({ min: 1e-6, max: 10, noNaN: true }), fc.double({ min: 1.01, max: 1e4, noNaN: true }));
    fc.assert(
      fc.property(ends, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), ([low, factor], log, share) => {
        const scale = { low, high: low * factor, log };
        expect(shareOf(valueAt(share, scale), scale)).toBeCloseTo(share, 6);
        expect([shareOf(low / 2, scale), shareOf(low * factor * 2, scale)]).toEqual([0, 1]);
      }),
    );
  });
});
