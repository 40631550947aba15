/** Geometry of the run charts: where the plot lies, what its axes show, and curves as SVG paths. Pure. */
import { formatLarge, formatSpan } from "../words";
import type { Axis, Range } from "../series";

export type Plot = { readonly left: number; readonly top: number; readonly width: number; readonly height: number };

/** Room for the axes, CSS pixels; the charts' own axes are told the same. */
export const ROOM = { left: 50, right: 12, top: 8, bottom: 36 } as const;

/** The plot within a chart of that size. */
export function plotOf(width: number, height: number): Plot {
  return { left: ROOM.left, top: ROOM.top, width: Math.max(0, width - ROOM.left - ROOM.right), height: Math.max(0, height - ROOM.top - ROOM.bottom) };
}

const NICE = [1, 2, 2.5, 5, 10];
/** Values that differ by less, relatively, are one value but for the rounding of means. */
const RESOLUTION = 1e-9;

/** Round numbers from `low` to `high`, about `count` of them. */
export function niceTicks(low: number, high: number, count: number): number[] {
  if (!(high - low > RESOLUTION * Math.max(Math.abs(low), Math.abs(high)))) return [low];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (NICE.find((factor) => factor * power >= rough * 0.999) ?? 10);
  return multiples(low, high, step);
}

function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** Round numbers of seconds, minutes, hours or days. */
export function spanTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  const step = SPANS.find((span) => span >= rough);
  if (rough < 1) return niceTicks(low, high, count);
  return step ? multiples(low, high, step) : niceTicks(low / 86_400, high / 86_400, count).map((days) => days * 86_400);
}

/** Ticks below the plot, as many as fit. */
export function placeTicks(axis: Axis, [low, high]: Range, width: number): number[] {
  const count = Math.max(2, Math.floor(width / 86));
  return axis === "time" ? spanTicks(low, high, count) : niceTicks(low, high, count);
}

/** A place of an axis in words. */
export function formatPlace(axis: Axis, place: number): string {
  if (axis === "time") return place > 0 && place < 10 && !Number.isInteger(place) ? `${Number(place.toPrecision(2))} s` : formatSpan(place).replace(/ 00 (s|min)$/, "");
  return Number.isInteger(place) && Math.abs(place) < 10_000 ? String(place) : formatLarge(place);
}

export const axisLabels: Readonly<Record<Axis, string>> = { step: "step", tokens: "tokens", time: "time since the start" };

/** Least and greatest of the lists' values whose places are in a range, as a domain with a little room; null if there are none. */
export function valueDomain(curves: readonly { places: readonly number[]; values: readonly number[] }[], [from, to]: Range, log: boolean, floor: number | null): Range | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { places, values } of curves) {
    places.forEach((place, index) => {
      const value = values[index] as number;
      if (place < from || place > to || !Number.isFinite(value) || (log && value <= 0)) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    });
  }
  if (low > high) return null;
  if (!log && floor !== null) low = Math.min(low, floor);
  const flat = high - low <= RESOLUTION * Math.max(Math.abs(low), Math.abs(high));
  if (log) return flat ? [low / 2, high * 2] : [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
  const room = flat ? Math.abs(low) / 10 || 1 : (high - low) * 0.05;
  return [low === floor ? floor : low - room, high + room];
}

/** Ticks of a log axis within a domain: powers of ten, with 2 and 5 times them where those are few; round numbers within one decade. */
export function logTicksWithin([low, high]: Range): number[] {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const factors = to - from > 5 ? [1] : to - from > 2 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = from; power <= to; power++) for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(6)));
  const within = ticks.filter((tick) => tick >= low && tick <= high);
  return within.length >= 3 ? within : niceTicks(low, high, 4);
}

export type Scale = (value: number) => number;

/** From a range of values to pixels; `down`: greater values lie higher. */
export function scaleOf([low, high]: Range, start: number, length: number, { log = false, down = false } = {}): Scale {
  const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high];
  const span = b - a || 1;
  return (value) => {
    const share = ((log ? Math.log(value) : value) - a) / span;
    return start + length * (down ? 1 - share : share);
  };
}

const pixel = (value: number): string => value.toFixed(1);

/** First and one past the last index whose places are in a range, and one beyond on both sides so that curves leave the plot. */
export function windowOf(places: readonly number[], [from, to]: Range): [begin: number, end: number] {
  let begin = places.findIndex((place) => place >= from);
  if (begin === -1) begin = places.length;
  let end = begin;
  while (end < places.length && (places[end] as number) <= to) end++;
  return [Math.max(0, begin - 1), Math.min(places.length, end + 1)];
}

/** A curve as path data. It is broken where a value is no number (`NaN` in pixels), as on a log axis at zero. */
export function curvePath(places: readonly number[], values: readonly number[], x: Scale, y: Scale, range: Range): string {
  const [begin, end] = windowOf(places, range);
  let path = "";
  let drawing = false;
  for (let index = begin; index < end; index++) {
    const height = y(values[index] as number);
    if (!Number.isFinite(height)) {
      drawing = false;
      continue;
    }
    path += `${drawing ? "L" : "M"}${pixel(x(places[index] as number))} ${pixel(height)}`;
    drawing = true;
  }
  return path;
}

/** The area between two curves of the same places as path data; places where either is no number are left out. */
export function bandPath(places: readonly number[], low: readonly number[], high: readonly number[], x: Scale, y: Scale, range: Range): string {
  const [begin, end] = windowOf(places, range);
  let above = "";
  let below = "";
  for (let index = begin; index < end; index++) {
    const [bottom, top] = [y(low[index] as number), y(high[index] as number)];
    if (!Number.isFinite(bottom) || !Number.isFinite(top)) continue;
    const at = pixel(x(places[index] as number));
    above += `${above ? "L" : "M"}${at} ${pixel(top)}`;
    below = `L${at} ${pixel(bottom)}${below}`;
  }
  return above && `${above}${below}Z`;
}
