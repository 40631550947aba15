import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { divergingScale, LOG_DECADES, mix, type Palette, parseHex, type Rgb, sequentialScale, type Spread, spread, toOklab, unspread } from "./heatmap-colours";
import { palettes } from "./heatmap-palette";

const spreads: Spread[] = ["linear", "sqrt", "log"];
const lightness = (colour: Rgb): number => toOklab(colour)[0];
/** Steps of a scale change lightness one way only, up to the rounding of 8-bit channels. */
function oneWay(colours: readonly Rgb[]): boolean {
  const steps = colours.slice(1).map((colour, index) => lightness(colour) - lightness(colours[index]!));
  const way = Math.sign(lightness(colours.at(-1)!) - lightness(colours[0]!));
  return steps.every((step) => way * step >= -0.004);
}

/** What a reader without one kind of cone sees (Viénot, Brettel and Mollon 1999), in linear RGB. */
const deficiencies = {
  protanopia: [0.11238, 0.88762, 0, 0.11238, 0.88762, 0, 0.00401, -0.00401, 1],
  deuteranopia: [0.29275, 0.70725, 0, 0.29275, 0.70725, 0, -0.02234, 0.02234, 1],
} as const;
function seenBy(kind: keyof typeof deficiencies, colour: Rgb): Rgb {
  const linear = colour.map((channel) => (channel / 255) ** 2.2);
  const matrix = deficiencies[kind];
  return [0, 1, 2].map((row) => 255 * Math.max(0, Math.min(1, [0, 1, 2].reduce((sum, column) => sum + matrix[3 * row + column]! * linear[column]!, 0))) ** (1 / 2.2)) as unknown as Rgb;
}
const distance = (one: Rgb, two: Rgb): number => Math.hypot(...toOklab(one).map((value, index) => value - toOklab(two)[index]!));

describe.each(Object.entries(palettes))("colour scales, %s theme", (_, palette: Palette) => {
  it("begin at the surface and change lightness one way", () => {
    const sequential = sequentialScale(palette);
    const diverging = divergingScale(palette);
    const middle = (diverging.length - 1) / 2;
    expect(distance(sequential[0]!, palette.surface)).toBeLessThan(0.01);
    expect(distance(diverging[middle]!, palette.surface)).toBeLessThan(0.01);
    expect(oneWay(sequential)).toBe(true);
    expect(oneWay(diverging.slice(middle))).toBe(true);
    expect(oneWay(diverging.slice(0, middle + 1).reverse())).toBe(true);
    expect(Math.abs(lightness(sequential.at(-1)!) - lightness(palette.surface))).toBeGreaterThan(0.5);
  });

  it("keep the signs apart for colour-blind readers", () => {
    const diverging = divergingScale(palette);
    const middle = (diverging.length - 1) / 2;
    for (const kind of ["protanopia", "deuteranopia"] as const) {
      for (const share of [0.25, 0.5, 0.75]) {
        const offset = Math.round(share * middle);
        expect(distance(seenBy(kind, diverging[middle + offset]!), seenBy(kind, diverging[middle - offset]!))).toBeGreaterThan(0.08);
      }
    }
  });
});

describe("the spread of values", () => {
  it("is monotone, fixes 0 and 1, and has its inverse", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, fc.constantFrom(...spreads), (one, two, kind) => {
        expect(Math.sign(spread(two, kind) - spread(one, kind)) * Math.sign(two - one)).toBeGreaterThanOrEqual(0);
        if (kind !== "log" || one >= 10 ** -LOG_DECADES) expect(unspread(spread(one, kind), kind)).toBeCloseTo(one, 9);
      }),
    );
    for (const kind of spreads) expect([spread(0, kind), spread(1, kind)]).toEqual([0, 1]);
  });
});

describe("mixing", () => {
  it("returns its ends", () => {
    const channel = fc.integer({ min: 0, max: 255 });
    const colour = fc.tuple(channel, channel, channel);
    fc.assert(
      fc.property(colour, colour, (from, to) => {
        expect(mix(from, to, 0)).toEqual(from);
        expect(mix(from, to, 1)).toEqual(to);
      }),
    );
    expect(parseHex("#c8691c")).toEqual([200, 105, 28]);
  });
});
