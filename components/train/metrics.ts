/** What the metrics route and the event stream tell, as series. Pure. */
import type { MetricsAnswer, TrainingEvent } from "@/lib/training/types";
import { append, refine, type Series } from "./series";

export type Kind = "train" | "eval";
export type SeriesKey = `${Kind}:${string}`;
export type MetricsRow = Extract<TrainingEvent, { type: "metrics" }>["rows"][number];

/** A thinned series also has the extremes of what each entry stands for. */
export type Curve = Series & { readonly low: readonly number[]; readonly high: readonly number[] };

type Told = MetricsAnswer["series"][number];

/** A series of an answer; `every`: steps between two lines of its kind in the file, where known. */
export function fromTold({ step, tokens, time, value, low, high }: Told, every: number | null): Curve {
  const numbers = (list: readonly (number | null)[]): number[] => list.map((entry) => entry ?? Number.NaN);
  const lines = step.map((at, index) => {
    const gap = at - (step[index - 1] ?? at);
    return every && gap > every ? Math.round(gap / every) : 1;
  });
  return { step, tokens, time, value: numbers(value), low: numbers(low), high: numbers(high), lines };
}

/** The lines of a measure among new rows; of a repeated step the last one counts. */
export function fromRows(rows: readonly MetricsRow[], kind: Kind, measure: string): Curve {
  const kept: MetricsRow[] = [];
  for (const row of rows) {
    if (row.kind !== kind || typeof row[measure] !== "number") continue;
    while (kept.length > 0 && (kept.at(-1) as MetricsRow).step >= row.step) kept.pop();
    kept.push(row);
  }
  const value = kept.map((row) => row[measure] as number);
  return { step: kept.map(({ step }) => step), tokens: kept.map(({ tokens }) => tokens), time: kept.map(({ time }) => time), value, low: value, high: value, lines: kept.map(() => 1) };
}

/** Runs a function that joins series on all columns, the extremes too. */
function joined(join: (one: Series, two: Series) => Series, one: Curve, two: Curve): Curve {
  const of = (curve: Curve, value: readonly number[]): Series => ({ ...curve, value });
  return { ...join(one, two), low: join(of(one, one.low), of(two, two.low)).value, high: join(of(one, one.high), of(two, two.high)).value };
}

/** What one reading of the metrics asks for. */
export type Wanted = "scalars" | "layers";

const isWanted = (wanted: Wanted, measure: string): boolean => measure.startsWith("align.") === (wanted === "layers");

/** All series of a run: an overview, a part in detail where it was zoomed into, and the lines that came since. */
export function seriesOf(overview: MetricsAnswer, detail: MetricsAnswer | null, rows: readonly MetricsRow[], every: number | null, wanted: Wanted = "scalars"): Map<SeriesKey, Curve> {
  const found = new Map<SeriesKey, Curve>();
  const finer = new Map(detail?.generation === overview.generation ? detail.series.map((told) => [keyOf(told.kind, told.measure), told]) : []);
  for (const told of overview.series) {
    if (!isWanted(wanted, told.measure)) continue;
    const key = keyOf(told.kind, told.measure);
    const spacing = told.kind === "train" ? every : null;
    const part = finer.get(key);
    const whole = fromTold(told, spacing);
    found.set(key, part ? joined(refine, whole, fromTold(part, spacing)) : whole);
  }
  const fresh = rows.filter(({ kind }) => kind === "train" || kind === "eval");
  const named = new Set<SeriesKey>();
  for (const row of fresh) {
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === "number" && !columns.has(name) && isWanted(wanted, name)) named.add(keyOf(row.kind as Kind, name));
    }
  }
  for (const key of named) {
    const newer = fromRows(fresh, ...splitKey(key));
    const known = found.get(key);
    found.set(key, known ? joined(append, known, newer) : newer);
  }
  return found;
}

export const keyOf = (kind: Kind, measure: string): SeriesKey => `${kind}:${measure}`;

const columns = new Set(["kind", "step", "tokens", "time", "stage"]);

export function splitKey(key: SeriesKey): [Kind, string] {
  const at = key.indexOf(":");
  return [key.slice(0, at) as Kind, key.slice(at + 1)];
}

export type StageMark = { readonly step: number; readonly name: string };

/** Where a pipeline's stages begin, by the plan in its config: steps are counted over all stages. */
export function stageMarks(config: Record<string, unknown> | null): StageMark[] {
  const stages = config?.stages;
  if (!Array.isArray(stages)) return [];
  const steps = stepsOf(config) ?? 0;
  let at = 0;
  return stages.flatMap((stage: unknown, index): StageMark[] => {
    if (typeof stage !== "object" || stage === null) return [];
    const { name, method } = stage as Record<string, unknown>;
    const mark = { step: at, name: typeof name === "string" && name !== "" ? name : typeof method === "string" ? method : `stage ${index + 1}` };
    at += stepsOf(stage as Record<string, unknown>) ?? steps;
    return [mark];
  });
}

function stepsOf(part: Record<string, unknown> | null): number | null {
  const optimiser = part?.optimiser;
  const steps = typeof optimiser === "object" && optimiser !== null ? (optimiser as Record<string, unknown>).steps : undefined;
  return typeof steps === "number" ? steps : null;
}
