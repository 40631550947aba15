import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Table } from "./columns";
import { bucketsOf, seriesOf, type Axis } from "./downsample";

interface Row {
  step: number;
  tokens: number;
  time: number;
  loss: number;
}

function tableOf(rows: readonly Row[]): Table {
  const table = new Table();
  for (const row of rows) {
    table.reserve();
    const i = table.length++;
    table.step.values[i] = row.step;
    table.tokens.values[i] = row.tokens;
    table.time.values[i] = row.time;
    table.measure("loss").values[i] = row.loss;
  }
  return table;
}

const value = fc.oneof({ arbitrary: fc.integer({ min: -4096, max: 4096 }).map((n) => n / 8), weight: 8 }, { arbitrary: fc.constant(NaN), weight: 1 });
const rowsOf = (sorted: boolean) =>
  fc.array(fc.record({ step: fc.nat(5000), loss: value }), { maxLength: 300 }).map((rows) => {
    const ordered = sorted ? [...rows].sort((a, b) => a.step - b.step) : rows;
    return ordered.map(({ step, loss }): Row => ({ step, tokens: step * 1000, time: 1e9 + step / 2, loss }));
  });

describe("series", () => {
  it.each([
    ["in order", true],
    ["in any order", false],
  ])("hold every line of the range in one bucket, with its extremes and mean: lines %s", (_name, sorted) => {
    fc.assert(
      fc.property(rowsOf(sorted), fc.integer({ min: 1, max: 60 }), fc.option(fc.tuple(fc.nat(5000), fc.nat(5000)), { nil: null }), fc.constantFrom<Axis>("step", "tokens", "time"), (rows, points, range, axis) => {
        const table = tableOf(rows);
        const scale = (step: number) => ({ step, tokens: step * 1000, time: 1e9 + step / 2 })[axis];
        const [low, high] = range ? [Math.min(...range), Math.max(...range)] : [-Infinity, Infinity];
        const question = { axis, points, ...(range ? { from: scale(low), to: scale(high) } : {}) };
        const inside = [...rows].sort((a, b) => a.step - b.step).filter(({ step }) => step >= low && step <= high);
        const { order, starts } = bucketsOf(table, question);
        // Every row of the range is in exactly one bucket, in order.
        const seen = Array.from({ length: Math.max(0, (starts.at(-1) ?? 0) - (starts[0] ?? 0)) }, (_, k) => {
          const i = (starts[0] ?? 0) + k;
          return table.step.values[order ? (order[i] as number) : i];
        });
        expect(seen).toEqual(inside.map(({ step }) => step));
        expect(starts.length - 1).toBeLessThanOrEqual(points);
        for (let b = 0; b + 1 < starts.length; b++) expect(starts[b + 1]).toBeGreaterThan(starts[b] as number);

        const series = seriesOf(table, "train", "loss", { order, starts });
        const buckets: number[][] = [];
        const stable = order ? [...order].map((i) => rows[i] as Row) : rows;
        for (let b = 0; b + 1 < starts.length; b++) {
          buckets.push(stable.slice(starts[b], starts[b + 1]).map(({ loss }) => loss).filter((loss) => !Number.isNaN(loss)));
        }
        const first = buckets.findIndex((bucket) => bucket.length > 0);
        const last = buckets.findLastIndex((bucket) => bucket.length > 0);
        const kept = first < 0 ? [] : buckets.slice(first, last + 1);
        expect(series.low).toEqual(kept.map((bucket) => (bucket.length > 0 ? Math.min(...bucket) : null)));
        expect(series.high).toEqual(kept.map((bucket) => (bucket.length > 0 ? Math.max(...bucket) : null)));
        series.value.forEach((mean, i) => {
          const bucket = kept[i] as number[];
          if (bucket.length === 0) expect(mean).toBeNull();
          else expect(mean).toBeCloseTo(bucket.reduce((a, b) => a + b, 0) / bucket.length, 3);
        });
        for (const place of [series.step, series.tokens, series.time]) expect(place).toEqual([...place].sort((a, b) => a - b));
      }),
      { numRuns: 200 },
    );
  });

  it("are the lines themselves where they are few", () => {
    fc.assert(
      fc.property(rowsOf(true), (rows) => {
        const finite = rows.filter(({ loss }) => !Number.isNaN(loss));
        const table = tableOf(finite);
        const series = seriesOf(table, "train", "loss", bucketsOf(table, { points: Math.max(1, finite.length) }));
        expect(series.step).toEqual(finite.map(({ step }) => step));
        expect(series.value).toEqual(finite.map(({ loss }) => loss));
        expect(series.low).toEqual(series.value);
      }),
    );
  });

  it("never hide a spike", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20000 }), fc.nat(), fc.integer({ min: 1, max: 50 }), (lines, at, points) => {
        const spike = at % lines;
        const table = tableOf(Array.from({ length: lines }, (_, i) => ({ step: i, tokens: i, time: i, loss: i === spike ? 1e6 : 1 })));
        const series = seriesOf(table, "train", "loss", bucketsOf(table, { points }));
        expect(series.high.filter((high) => high === 1e6)).toHaveLength(1);
        expect(series.value.length).toBeLessThanOrEqual(points);
      }),
      { numRuns: 30 },
    );
  });

  it("are empty for a measure that the run has not", () => {
    const table = tableOf([{ step: 1, tokens: 1, time: 1, loss: 1 }]);
    expect(seriesOf(table, "train", "kl", bucketsOf(table, { points: 5 })).value).toEqual([]);
    expect(bucketsOf(new Table(), { points: 5 }).starts.length).toBe(1);
  });
});
