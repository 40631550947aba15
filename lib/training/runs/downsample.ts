/** Points for a chart out of many lines: no more than it can show, and no spike lost. */
import type { Series } from "../types";
import type { Column, Table } from "./columns";

export type Axis = "step" | "tokens" | "time";

export interface Range {
  axis?: Axis | undefined;
  /** Of the axis, both ends included. */
  from?: number | undefined;
  to?: number | undefined;
  /** Most points of a series. */
  points: number;
}

/** Rows of a table in the order of an axis; null: as they are. */
function orderOf(table: Table, axis: Column): Uint32Array | null {
  const { values } = axis;
  let sorted = true;
  for (let i = 1; i < table.length && sorted; i++) sorted = (values[i - 1] as number) <= (values[i] as number);
  if (sorted) return null;
  const order = Uint32Array.from({ length: table.length }, (_, i) => i);
  // Lines without a place come last.
  const place = (i: number) => (Number.isNaN(values[i]) ? Infinity : (values[i] as number));
  return order.sort((a, b) => place(a) - place(b) || a - b);
}

/** The rows of a range, and where each bucket of them starts: `starts[b]` to `starts[b + 1]`. */
export interface Buckets {
  /** Rows in the axis' order; null: row i is i. */
  order: Uint32Array | null;
  starts: Uint32Array;
}

/**
 * Splits the rows of a range into at most `points` buckets of equal width along the axis; those without a row are left out.
 * If there are no more rows than points, each row is a bucket.
 */
export function bucketsOf(table: Table, { axis = "step", from = -Infinity, to = Infinity, points }: Range): Buckets {
  const column = table[axis];
  const order = orderOf(table, column);
  const at = (i: number) => column.values[order ? (order[i] as number) : i] as number;
  const first = lowerBound(table.length, (i) => at(i) >= from);
  const last = lowerBound(table.length, (i) => at(i) > to || Number.isNaN(at(i)));
  const count = Math.max(0, last - first);
  if (count <= points) return { order, starts: Uint32Array.from({ length: count + 1 }, (_, i) => first + i) };
  const begin = at(first);
  const width = (at(last - 1) - begin) / points;
  const starts: number[] = [];
  let bucket = -1;
  for (let i = first; i < last; i++) {
    const next = width > 0 ? Math.min(points - 1, Math.floor((at(i) - begin) / width)) : 0;
    if (next === bucket) continue;
    bucket = next;
    starts.push(i);
  }
  starts.push(last);
  return { order, starts: Uint32Array.from(starts) };
}

/** The first index for which `holds` is true, which is true for all after it. */
function lowerBound(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * A measure's series over the buckets: the mean of each, its extremes, and the place of its middle row. Buckets in which no
 * line has the measure are null, and left out before the first and after the last that has.
 */
export function seriesOf(table: Table, kind: Series["kind"], measure: string, { order, starts }: Buckets): Series {
  const series: Series = { measure, kind, step: [], tokens: [], time: [], value: [], low: [], high: [] };
  const column = table.measures.get(measure);
  if (!column) return series;
  const { values } = column;
  let used = 0;
  for (let b = 0; b + 1 < starts.length; b++) {
    const start = starts[b] as number;
    const end = starts[b + 1] as number;
    let sum = 0;
    let count = 0;
    let low = Infinity;
    let high = -Infinity;
    for (let i = start; i < end; i++) {
      const value = values[order ? (order[i] as number) : i] as number;
      if (Number.isNaN(value)) continue;
      sum += value;
      count++;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (count === 0 && used === 0) continue;
    const middle = (start + end - 1) >>> 1;
    const row = order ? (order[middle] as number) : middle;
    series.step.push(table.step.values[row] as number);
    series.tokens.push(orZero(table.tokens.values[row]));
    series.time.push(orZero(table.time.values[row]));
    series.value.push(count === 0 ? null : digits(sum / count));
    series.low.push(count === 0 ? null : digits(low));
    series.high.push(count === 0 ? null : digits(high));
    if (count > 0) used = series.value.length;
  }
  for (const part of [series.step, series.tokens, series.time, series.value, series.low, series.high]) part.length = used;
  return series;
}

/** JSON has no NaN: a line without tokens or time is at 0. */
function orZero(value: number | undefined): number {
  return value === undefined || Number.isNaN(value) ? 0 : value;
}

/** Measures have the digits of float32; more would only be sent. */
function digits(value: number): number {
  return Number(value.toPrecision(7));
}
