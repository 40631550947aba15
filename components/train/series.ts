/** A run's measures as series: axes, smoothing, merging of what arrives with what is there, time left. Pure. */

/**
 * One measure of one kind of line. All arrays have the same length, `step` never falls (an evaluation after a
 * stage and the one before the next share theirs). Where the server thinned a long run,
 * an entry stands for `lines` lines of the file, else for one.
 */
export type Series = {
  readonly step: readonly number[];
  /** Tokens seen by then. */
  readonly tokens: readonly number[];
  /** Seconds since 1970, by the clock of the node. */
  readonly time: readonly number[];
  readonly value: readonly number[];
  readonly lines: readonly number[];
};

export const axes = ["step", "tokens", "time"] as const;
/** What the horizontal axis of a chart counts; `time` is seconds since the run's first line. */
export type Axis = (typeof axes)[number];
export type Range = readonly [from: number, to: number];

export const emptySeries: Series = { step: [], tokens: [], time: [], value: [], lines: [] };

/**
 * Exponential moving average without the bias towards its start: m_n = sum_i s^(n-i) v_i / sum_i s^(n-i). An entry that stands for k
 * lines counts as k equal ones, so that thinning a series moves its average little. Values that are no number are passed over.
 */
export function smooth(values: readonly number[], lines: readonly number[], factor: number): number[] {
  if (factor <= 0) return [...values];
  let sum = 0;
  let weight = 0;
  return values.map((value, index) => {
    if (!Number.isFinite(value)) return value;
    const kept = factor ** (lines[index] ?? 1);
    sum = kept * sum + (1 - kept) * value;
    weight = kept * weight + (1 - kept);
    return sum / weight;
  });
}

/** Places on an axis. Never falls, even where the node's clock was set back: a curve does not turn round. */
export function axisPlaces(series: Series, axis: Axis, origin: number): number[] {
  if (axis !== "time") return [...series[axis]];
  let last = 0;
  return series.time.map((time) => (last = Math.max(last, time - origin)));
}

/** The index of the entry of an ascending list that is nearest to `place`; -1 for an empty list. */
export function nearest(places: readonly number[], place: number): number {
  if (places.length === 0) return -1;
  let low = 0;
  let high = places.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] as number) < place) low = middle + 1;
    else high = middle;
  }
  return low > 0 && place - (places[low - 1] as number) <= (places[low] as number) - place ? low - 1 : low;
}

/** The steps that a range of an axis covers, rounded outwards to whole entries and one entry beyond on both sides. */
export function stepsWithin(series: Series, places: readonly number[], [from, to]: Range): Range | null {
  if (places.length === 0) return null;
  const first = places.findIndex((place) => place >= from);
  const last = places.findLastIndex((place) => place <= to);
  const begin = Math.max(0, (first === -1 ? places.length : first) - 1);
  const end = Math.min(places.length - 1, (last === -1 ? -1 : last) + 1);
  return [series.step[begin] as number, series.step[end] as number];
}

function cut(series: Series, begin: number, end: number): Series {
  return {
    step: series.step.slice(begin, end),
    tokens: series.tokens.slice(begin, end),
    time: series.time.slice(begin, end),
    value: series.value.slice(begin, end),
    lines: series.lines.slice(begin, end),
  };
}

function join(...parts: readonly Series[]): Series {
  return {
    step: parts.flatMap(({ step }) => step),
    tokens: parts.flatMap(({ tokens }) => tokens),
    time: parts.flatMap(({ time }) => time),
    value: parts.flatMap(({ value }) => value),
    lines: parts.flatMap(({ lines }) => lines),
  };
}

/** The first entry at `step` or after it. */
function lowerBound(steps: readonly number[], step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) < step) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A history followed by newer entries. A run that was resumed from a checkpoint repeats steps: from the first repeated one on, what
 * arrived last holds, as the run has forgotten the rest.
 */
export function append(history: Series, newer: Series): Series {
  if (newer.step.length === 0) return history;
  const end = lowerBound(history.step, newer.step[0] as number);
  return join(end === history.step.length ? history : cut(history, 0, end), newer);
}

/** An overview of the whole run with a part of it in more detail: the detail's steps replace the overview's. */
export function refine(overview: Series, detail: Series): Series {
  if (detail.step.length === 0) return overview;
  const begin = lowerBound(overview.step, detail.step[0] as number);
  const end = lowerBound(overview.step, (detail.step.at(-1) as number) + 1);
  return join(cut(overview, 0, begin), detail, cut(overview, end, overview.step.length));
}

/** Indices of at most about `limit` entries that show a curve as all would: the least and the greatest value of each of equal parts. */
export function thin(values: readonly number[], limit: number): number[] {
  if (values.length <= limit) return values.map((_, index) => index);
  const parts = Math.max(1, Math.floor(limit / 2));
  const kept: number[] = [];
  for (let part = 0; part < parts; part++) {
    const begin = Math.floor((part * values.length) / parts);
    const end = Math.floor(((part + 1) * values.length) / parts);
    let low = begin;
    let high = begin;
    for (let index = begin; index < end; index++) {
      const value = values[index] as number;
      if (!(value >= (values[low] as number))) low = index;
      if (!(value <= (values[high] as number))) high = index;
    }
    kept.push(...new Set(low < high ? [low, high] : [high, low]));
  }
  const last = values.length - 1;
  if (kept[0] !== 0) kept.unshift(0);
  if (kept.at(-1) !== last) kept.push(last);
  return kept;
}

/** How many of the newest lines tell a run's present speed. */
const RECENT = 30;

/**
 * Seconds that a run still needs: the steps that are left at the median pace of its newest lines, which pauses and evaluations between
 * them do not move. Null while there are too few lines to tell.
 */
export function secondsLeft(series: Pick<Series, "step" | "time">, step: number, steps: number): number | null {
  const paces: number[] = [];
  for (let index = Math.max(1, series.step.length - RECENT); index < series.step.length; index++) {
    const moved = (series.step[index] as number) - (series.step[index - 1] as number);
    const took = (series.time[index] as number) - (series.time[index - 1] as number);
    if (moved > 0 && took > 0) paces.push(took / moved);
  }
  if (paces.length < 2) return null;
  paces.sort((a, b) => a - b);
  return Math.max(0, steps - step) * (paces[paces.length >> 1] as number);
}
