import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { barsFigure, barsTable, greatest } from "./bars-figure";

const colours = { attention: "#0000ff", mamba: "#ff8800", ink: "#000000", quiet: "#666666", line: "#cccccc" };
const anySeries = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.record({
    layers: fc.array(fc.constantFrom("attention", "mamba2:aligned"), { minLength: count, maxLength: count }),
    values: fc.array(fc.option(fc.double({ min: -5, max: 5, noNaN: true })), { minLength: count, maxLength: count }),
    order: fc.shuffledSubarray([...Array(count).keys()], { minLength: count }),
  }),
);

describe("bars over the strip", () => {
  it("are as high as their values, in the strip's order and colours", () => {
    fc.assert(
      fc.property(anySeries, ({ layers, values, order }) => {
        const series = [{ key: "kl", label: "KL", unit: "nat/token", values }];
        const { body } = barsFigure(layers, series, order, colours);
        const bars = [...body.matchAll(/<rect x="(\d+)" y="[\d.e-]+" width="16" height="([\d.e+-]+)" fill="(#\w+)"/g)];
        const most = greatest(values);
        const drawn = order.flatMap((layer, place) => (values[layer] === null || most === 0 ? [] : [{ layer, place }]));
        expect(bars).toHaveLength(drawn.length);
        drawn.forEach(({ layer, place }, index) => {
          expect(Number(bars[index]![1])).toBe(place * 20 + 2);
          expect(Number(bars[index]![2])).toBeCloseTo((44 * Math.abs(values[layer]!)) / most, 6);
          expect(bars[index]![3]).toBe(layers[layer] === "attention" ? colours.attention : colours.mamba);
        });
      }),
    );
  });

  it("have a table of the same numbers", () => {
    const series = [
      { key: "a", label: "Relative error", unit: "", values: [0.5, null] },
      { key: "b", label: "KL", unit: "nat/token", values: [0.01, 0.2] },
    ];
    expect(barsTable(["attention", "mamba2:aligned"], series, [1, 0])).toEqual({
      columns: ["layer", "mixer", "Relative error", "KL, nat/token"],
      rows: [
        [1, "mamba2:aligned", null, 0.2],
        [0, "attention", 0.5, 0.01],
      ],
    });
  });
});
