import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bandPath, curvePath, formatPlace, logTicksWithin, niceTicks, placeTicks, scaleOf, spanTicks, valueDomain } from "./plot";

const low = fc.double({ min: -1e5, max: 1e5, noNaN: true });
const span = fc.double({ min: 1e-3, max: 1e6, noNaN: true });

describe("ticks", () => {
  it("rise, lie within the range, and are as many as asked for, more or less", () => {
    fc.assert(
      fc.property(low, span, fc.integer({ min: 2, max: 12 }), (from, length, count) => {
        const ticks = niceTicks(from, from + length, count);
        expect(ticks.length).toBeLessThanOrEqual(count + 1);
        expect(ticks.length).toBeGreaterThanOrEqual(Math.floor(count / 2.6));
        ticks.forEach((tick, index) => {
          expect(tick).toBeGreaterThanOrEqual(from - 1e-6 * length);
          expect(tick).toBeLessThanOrEqual(from + length + 1e-6 * length);
          if (index > 0) expect(tick).toBeGreaterThan(ticks[index - 1] as number);
        });
      }),
    );
  });

  it("of time are whole units", () => {
    expect(spanTicks(0, 100, 4)).toEqual([0, 30, 60, 90]);
    expect(spanTicks(0, 9000, 3)).toEqual([0, 3600, 7200]);
    expect(placeTicks("time", [0, 100], 344).map((place) => formatPlace("time", place))).toEqual(["0 s", "30 s", "1 min", "1 min 30 s"]);
  });

  it("of a log axis lie within it", () => {
    expect(logTicksWithin([0.03, 4])).toEqual([0.03, 0.1, 0.3, 1, 3]);
    expect(logTicksWithin([0.5, 9])).toEqual([0.5, 1, 2, 5]);
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e3, noNaN: true }), fc.double({ min: 1.05, max: 1e6, noNaN: true }), (from, factor) => {
        const ticks = logTicksWithin([from, from * factor]);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        for (const tick of ticks) expect(tick >= from * 0.999 && tick <= from * factor * 1.001).toBe(true);
      }),
    );
  });
});

describe("domains", () => {
  it("hold the visible values alone", () => {
    const curve = { places: [0, 1, 2, 3], values: [100, 4, 2, Number.NaN] };
    const domain = valueDomain([curve], [1, 3], false, null);
    expect(domain?.[0]).toBeLessThan(2);
    expect(domain?.[1]).toBeGreaterThan(4);
    expect(domain?.[1]).toBeLessThan(5);
    expect(valueDomain([curve], [1, 3], false, 0)?.[0]).toBe(0);
    // A constant whose means were rounded differently is a constant.
    const flat = valueDomain([{ places: [0, 1], values: [1.1, 1.1 + 2e-16] }], [0, 1], false, null) ?? [0, 0];
    expect(flat[1] - flat[0]).toBeGreaterThan(0.1);
    expect(niceTicks(1.1, 1.1 + 2e-16, 5)).toEqual([1.1]);
    expect(valueDomain([{ places: [0, 1], values: [0.001, 0.001] }], [0, 1], false, 0)).toEqual([0, 0.00105]);
    expect(valueDomain([{ places: [0, 1], values: [-1, 0] }], [0, 1], true, null)).toBeNull();
  });
});

describe("paths", () => {
  it("go through the points and break at gaps", () => {
    const x = scaleOf([0, 4], 0, 40);
    const y = scaleOf([0, 10], 0, 100, { down: true });
    expect(curvePath([0, 1, 2, 3, 4], [0, 10, Number.NaN, 5, 0], x, y, [0, 4])).toBe("M0.0 100.0L10.0 0.0M30.0 50.0L40.0 100.0");
    expect(curvePath([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], x, y, [1.5, 2.5])).toBe("M10.0 90.0L20.0 80.0L30.0 70.0");
    expect(bandPath([0, 1], [1, 1], [2, 3], x, y, [0, 4])).toBe("M0.0 80.0L10.0 70.0L10.0 90.0L0.0 90.0Z");
    const log = scaleOf([1, 100], 0, 10, { log: true });
    expect([log(1), log(10), log(100)].map((value) => Math.round(value))).toEqual([0, 5, 10]);
    expect(Number.isFinite(log(0))).toBe(false);
  });
});
