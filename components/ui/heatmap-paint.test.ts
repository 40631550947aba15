import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Rgb, spread } from "./heatmap-colours";
import { palettes } from "./heatmap-palette";
import { greatestMagnitude, normaliseRows, type Painting, paintMatrix } from "./heatmap-paint";
import { clampView, pointAt, wholeView } from "./heatmap-view";

/** Colours that say their own level. */
const levels = Uint32Array.from({ length: 201 }, (_, level) => level + 1);
const anyMatrix = fc.integer({ min: 1, max: 14 }).chain((n) =>
  fc.tuple(fc.constant(n), fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: n * n, maxLength: n * n })),
);
const painting = (n: number, values: Float32Array, rest: Partial<Painting> = {}): Painting => ({
  values,
  offset: 0,
  n,
  maximum: 2,
  colours: levels,
  signed: true,
  spread: "linear",
  ...rest,
});

describe("painting a matrix", () => {
  it("gives each pixel its cell's colour where cells are larger than pixels, at any view", () => {
    const view = fc.record({ x: fc.double({ min: 0, max: 14, noNaN: true }), y: fc.double({ min: 0, max: 14, noNaN: true }), size: fc.double({ min: 1, max: 14, noNaN: true }) });
    fc.assert(
      fc.property(anyMatrix, view, ([n, list], raw) => {
        const values = Float32Array.from(list);
        const seen = clampView(raw, n);
        const pixels = new Uint32Array(40 * 40);
        paintMatrix(pixels, 40, 40, seen, painting(n, values));
        for (let y = 0; y < 40; y++) {
          for (let x = 0; x < 40; x++) {
            const at = pointAt(seen, x / 40, y / 40);
            const row = Math.min(n - 1, Math.floor(seen.y + (y * seen.size) / 40));
            const column = Math.min(n - 1, Math.floor(seen.x + (x * seen.size) / 40));
            expect(Math.abs(at.x - column)).toBeLessThanOrEqual(1);
            const value = values[row * n + column]!;
            const expected = column > row ? 0 : Math.round(((Math.sign(value) * spread(Math.min(1, Math.abs(value) / 2), "linear") + 1) / 2) * 200) + 1;
            // Colours come from a table of magnitudes: a value at the border of two levels may get either.
            expect(Math.abs(pixels[y * 40 + x]! - expected)).toBeLessThanOrEqual(expected === 0 ? 0 : 1);
          }
        }
      }),
      { numRuns: 12 },
    );
  });

  it("loses no cell where cells are smaller than pixels: a lone one shows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 300 }), fc.nat(), fc.nat(), fc.integer({ min: 3, max: 8 }), fc.boolean(), (n, a, b, side, minus) => {
        const row = a % n;
        const column = b % (row + 1);
        const values = new Float32Array(n * n);
        values[row * n + column] = minus ? -1 : 1;
        const pixels = new Uint32Array(side * side);
        paintMatrix(pixels, side, side, wholeView(n), painting(n, values, { maximum: 1 }));
        const [shown] = [...pixels].filter((pixel) => pixel === (minus ? 1 : 201));
        expect(shown).toBeDefined();
        expect([...pixels].filter((pixel) => pixel !== 0 && pixel !== 101)).toHaveLength(1);
      }),
    );
  });

  it("reads the matrix at its offset and only below the diagonal", () => {
    const values = Float32Array.from([9, 9, 9, 9, 1, 9, -2, 0.5]);
    expect(greatestMagnitude(values, 4, 2)).toBe(2);
    expect([...normaliseRows(values, 4, 2)]).toEqual([1, 0, -0.800000011920929, 0.20000000298023224]);
    const pixels = new Uint32Array(4);
    paintMatrix(pixels, 2, 2, wholeView(2), painting(2, values, { offset: 4 }));
    expect([...pixels]).toEqual([151, 0, 1, 126]);
  });
});

describe("rows", () => {
  it("sum to 1 in magnitude after normalising, with the signs they had", () => {
    fc.assert(
      fc.property(anyMatrix, ([n, list]) => {
        const values = Float32Array.from(list, (value) => value + 0); // no negative zeros
        const rows = normaliseRows(values, 0, n);
        for (let row = 0; row < n; row++) {
          const before = values.subarray(row * n, row * n + row + 1);
          fc.pre(before.every((value) => value === 0 || Math.abs(value) > 1e-20));
          const after = rows.subarray(row * n, row * n + row + 1);
          if (before.some((value) => value !== 0)) expect(after.reduce((sum, value) => sum + Math.abs(value), 0)).toBeCloseTo(1, 5);
          expect([...after].map(Math.sign)).toEqual([...before].map(Math.sign));
        }
      }),
    );
  });
});

describe("the palette", () => {
  it("is that of the style sheet", () => {
    const css = readFileSync(new URL("../../app/globals.css", import.meta.url), "utf8");
    const [, light = "", dark = ""] = /:root \{([^}]*)\}[^[]*\[data-theme="dark"\] \{([^}]*)\}/.exec(css) ?? [];
    const token = (block: string, name: string): string => new RegExp(`--${name}: (#[0-9a-f]{6})`).exec(block)?.[1] ?? "";
    const hex = (colour: Rgb): string => `#${colour.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
    for (const [block, palette] of [[light, palettes.light], [dark, palettes.dark]] as const) {
      for (const name of ["surface", "ink", "attention", "mamba"] as const) expect(hex(palette[name])).toBe(token(block, name));
    }
  });
});
