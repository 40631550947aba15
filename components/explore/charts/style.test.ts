import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { axisNumber, logTicks } from "./style";

describe("ticks of a log axis", () => {
  it("rise, cover the range and are round numbers", () => {
    const value = fc.double({ min: 1, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(value, fc.double({ min: 1.01, max: 1e6, noNaN: true }), (low, factor) => {
        const ticks = logTicks(low, low * factor);
        expect(ticks[0]!).toBeLessThanOrEqual(low * (1 + 1e-9));
        expect(ticks.at(-1)!).toBeGreaterThanOrEqual(low * factor * (1 - 1e-9));
        ticks.forEach((tick, index) => {
          if (index > 0) expect(tick).toBeGreaterThan(ticks[index - 1]!);
          expect(["1", "2", "5"]).toContain(tick.toExponential()[0]);
        });
      }),
    );
    expect(logTicks(270e6, 9e9)).toEqual([2e8, 5e8, 1e9, 2e9, 5e9, 1e10]);
  });

  it("are written without needless zeros", () => {
    expect([0.75, 1, -0.2, 7.5].map(axisNumber)).toEqual(["0.75", "1", "−0.2", "7.5"]);
  });
});
