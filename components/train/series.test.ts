import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { append, axisPlaces, emptySeries, nearest, refine, secondsLeft, type Series, smooth, stepsWithin, thin } from "./series";

/** The losses that a shipped run wrote. */
function shipped(kind: string, measure: string): Series {
  const text = readFileSync(new URL("../../results/runs/stories-attn50/metrics.jsonl", import.meta.url), "utf8");
  const lines = text.trim().split("\n").map((line) => JSON.parse(line) as Record<string, number | string>);
  const own = lines.filter((line) => line.kind === kind);
  const column = (name: string): number[] => own.map((line) => Number(line[name]));
  return { step: column("step"), tokens: column("tokens"), time: column("time"), value: column(measure), lines: own.map(() => 1) };
}

const series = fc
  .array(fc.record({ moved: fc.integer({ min: 1, max: 9 }), value: fc.double({ min: -1e3, max: 1e3, noNaN: true }) }), { maxLength: 60 })
  .map((entries): Series => {
    let at = 0;
    const step = entries.map(({ moved }) => (at += moved));
    return { step, tokens: step.map((s) => s * 64), time: step.map((s) => 1e9 + s / 2), value: entries.map(({ value }) => value), lines: step.map(() => 1) };
  });

const ascends = (list: readonly number[]) => list.every((value, index) => index === 0 || value > (list[index - 1] as number));
const values = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 80 });
const factor = fc.double({ min: 0.01, max: 0.99, noNaN: true });

describe("smoothing", () => {
  it("is the weighted mean that its formula says", () => {
    fc.assert(
      fc.property(values, factor, (list, s) => {
        const smoothed = smooth(list, list.map(() => 1), s);
        for (let n = 0; n < list.length; n += 7) {
          const weights = list.slice(0, n + 1).map((_, i) => s ** (n - i));
          const mean = weights.reduce((sum, weight, i) => sum + weight * (list[i] as number), 0) / weights.reduce((a, b) => a + b);
          expect(smoothed[n]).toBeCloseTo(mean, 6);
        }
      }),
    );
  });

  it("starts at the first value, leaves constants, and passes over what is no number", () => {
    expect(smooth([5, 5, 5], [1, 1, 1], 0.9).every((value) => Math.abs(value - 5) < 1e-12)).toBe(true);
    expect(smooth([3, 9], [1, 1], 0.6)[0]).toBeCloseTo(3, 12);
    const [first, gap, last] = smooth([2, Number.NaN, 2], [1, 1, 1], 0.5);
    expect([first, gap, last]).toEqual([2, Number.NaN, 2]);
    expect(smooth([1, 7], [1, 1], 0)).toEqual([1, 7]);
  });

  it("takes an entry of k lines as k equal entries", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.double({ min: -10, max: 10, noNaN: true }), fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 20 }), factor, (entries, s) => {
        const repeated = entries.flatMap(([value, count]) => Array.from({ length: count }, () => value));
        const all = smooth(repeated, repeated.map(() => 1), s);
        const few = smooth(entries.map(([value]) => value), entries.map(([, count]) => count), s);
        let end = 0;
        entries.forEach(([, count], index) => expect(few[index]).toBeCloseTo(all[(end += count) - 1] as number, 8));
      }),
    );
  });
});

describe("axes", () => {
  const run = shipped("train", "loss");
  it("count steps, tokens and seconds since the start", () => {
    expect(axisPlaces(run, "step", 0)).toEqual(run.step);
    expect(axisPlaces(run, "tokens", 0)).toEqual(run.tokens);
    const seconds = axisPlaces(run, "time", run.time[0] as number);
    expect(seconds[0]).toBe(0);
    expect(seconds.at(-1)).toBeCloseTo((run.time.at(-1) as number) - (run.time[0] as number), 6);
  });

  it("never turn back where the clock was set back", () => {
    expect(axisPlaces({ ...emptySeries, time: [100, 130, 90, 140] }, "time", 100)).toEqual([0, 30, 30, 40]);
  });

  it("find the nearest entry", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: -500, max: 500 }), { minLength: 1, maxLength: 40 }), fc.integer({ min: -600, max: 600 }), (list, place) => {
        const sorted = [...list].sort((a, b) => a - b);
        const distance = Math.abs((sorted[nearest(sorted, place)] as number) - place);
        expect(distance).toBe(Math.min(...sorted.map((value) => Math.abs(value - place))));
      }),
    );
    expect(nearest([], 3)).toBe(-1);
  });

  it("give the steps of a range with an entry beyond its ends", () => {
    expect(stepsWithin(run, run.tokens, [run.tokens[10] as number, run.tokens[20] as number])).toEqual([run.step[9], run.step[21]]);
    expect(stepsWithin(run, run.step, [-5, 1e9])).toEqual([run.step[0], run.step.at(-1)]);
    expect(stepsWithin(emptySeries, [], [0, 1])).toBeNull();
  });
});

describe("merging", () => {
  it("puts newer entries behind, and forgets steps that a resumed run repeats", () => {
    fc.assert(
      fc.property(series, series, fc.integer({ min: 0, max: 200 }), (history, tail, shift) => {
        const newer = { ...tail, step: tail.step.map((step) => step + shift) };
        const all = append(history, newer);
        expect(ascends(all.step)).toBe(true);
        expect(all.step.slice(all.step.length - newer.step.length)).toEqual(newer.step);
        expect(all.value.slice(all.value.length - newer.value.length)).toEqual(newer.value);
        const first = newer.step[0] ?? Number.POSITIVE_INFINITY;
        expect(all.step.length).toBe(newer.step.length + history.step.filter((step) => step < first).length);
      }),
    );
  });

  it("shows a part in detail and leaves the rest", () => {
    fc.assert(
      fc.property(series, fc.nat(40), fc.nat(40), (whole, one, two) => {
        const [from, to] = [Math.min(one, two), Math.max(one, two)];
        const take = (keep: (index: number) => boolean): Series => ({
          step: whole.step.filter((_, i) => keep(i)),
          tokens: whole.tokens.filter((_, i) => keep(i)),
          time: whole.time.filter((_, i) => keep(i)),
          value: whole.value.filter((_, i) => keep(i)),
          lines: whole.lines.filter((_, i) => keep(i)),
        });
        const overview = take((index) => index % 3 === 0);
        const detail = take((index) => index >= from && index <= to);
        const shown = refine(overview, detail);
        expect(ascends(shown.step)).toBe(true);
        const wanted = whole.step.filter((_, index) => index % 3 === 0 || (index >= from && index <= to));
        expect(shown.step).toEqual(wanted);
        shown.step.forEach((step, index) => expect(shown.value[index]).toBe(whole.value[whole.step.indexOf(step)]));
      }),
    );
  });

  it("thins a curve without losing its ends, its peaks and its order", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 400 }), fc.integer({ min: 4, max: 60 }), (list, limit) => {
        const kept = thin(list, limit);
        expect(ascends(kept)).toBe(true);
        expect(kept.length).toBeLessThanOrEqual(Math.max(limit + 2, 0));
        expect([kept[0], kept.at(-1)]).toEqual([0, list.length - 1]);
        const shown = kept.map((index) => list[index] as number);
        expect(Math.max(...shown)).toBe(Math.max(...list));
        expect(Math.min(...shown)).toBe(Math.min(...list));
      }),
    );
  });
});

describe("time left", () => {
  const run = shipped("train", "loss");
  it("is near to what the shipped run then took", () => {
    const half = run.step.length >> 1;
    const known = { step: run.step.slice(0, half), time: run.time.slice(0, half) };
    const left = secondsLeft(known, known.step.at(-1) as number, run.step.at(-1) as number);
    const took = (run.time.at(-1) as number) - (known.time.at(-1) as number);
    expect((left ?? 0) / took).toBeGreaterThan(0.6);
    expect((left ?? 0) / took).toBeLessThan(1.6);
  });

  it("is not moved by a pause, and unknown at the start", () => {
    const steady = { step: [0, 10, 20, 30, 40, 50], time: [0, 5, 10, 15, 20, 25] };
    const paused = { step: steady.step, time: [0, 5, 10, 3600, 3605, 3610] };
    expect(secondsLeft(steady, 50, 100)).toBe(25);
    expect(secondsLeft(paused, 50, 100)).toBe(25);
    expect(secondsLeft({ step: [0, 10], time: [0, 5] }, 10, 100)).toBeNull();
    expect(secondsLeft(steady, 120, 100)).toBe(0);
  });
});
