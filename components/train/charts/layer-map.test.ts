import { describe, expect, it } from "vitest";
import { greatestOf, paintLayers } from "./layer-map";

const rows = [
  { layer: 1, places: [0, 10, 20], values: [1, 0.5, 0] },
  { layer: 3, places: [10, 20], values: [0.25, Number.NaN] },
];
const colours = Uint32Array.from({ length: 101 }, (_, index) => index + 1);

describe("the map of layers", () => {
  it("gives each pixel its nearest entry, and nothing where nothing was measured", () => {
    const pixels = new Uint32Array(2 * 20);
    paintLayers(pixels, 20, rows, [0, 20], 1, colours, "linear");
    expect([...pixels.subarray(0, 5)].every((pixel) => pixel === 101)).toBe(true);
    expect([...pixels.subarray(6, 15)].every((pixel) => pixel === 51)).toBe(true);
    expect([...pixels.subarray(15, 20)].every((pixel) => pixel === 1)).toBe(true);
    expect([...pixels.subarray(20, 28)].every((pixel) => pixel === 0)).toBe(true);
    expect(pixels[20 + 11]).toBe(26);
    expect(pixels[39]).toBe(0);
  });

  it("finds the greatest value in sight", () => {
    expect(greatestOf(rows, [0, 20])).toBe(1);
    expect(greatestOf(rows, [5, 20])).toBe(0.5);
    expect(greatestOf([], [0, 1])).toBe(0);
  });
});
