/** Answers to questions about a run's measures, as the pages ask them. */
import type { MetricsAnswer, Series } from "../types";
import type { Table } from "./columns";
import { bucketsOf, seriesOf, type Axis } from "./downsample";
import type { MetricLines } from "./metric-lines";
import type { OpenedRun } from "./opened-runs";

export interface MetricsQuestion {
  /** Names joined by commas; `align.*` names all that start so; none: all but those of layers. */
  measures?: string | undefined;
  kind?: Series["kind"] | undefined;
  axis?: Axis | undefined;
  from?: number | undefined;
  to?: number | undefined;
  points: number;
}

const kinds = ["train", "eval"] as const;
const ofLayer = /^(align|orient)\.\d+$/;
/** Answers that are kept a run; each tab asks few different questions. */
const KEPT = 32;

/** The series that a question asks for. `node` and `id` are those of the run, for the answer. */
export async function answerMetrics(opened: OpenedRun, node: string, id: string, question: MetricsQuestion): Promise<MetricsAnswer> {
  const { lines, generation, loading } = await opened.measures();
  const make = (): MetricsAnswer => {
    const names = { train: namesOf(lines, "train"), eval: namesOf(lines, "eval") };
    const series: Series[] = [];
    for (const kind of kinds) {
      const table = lines.tables.get(kind);
      if (!table || (question.kind && question.kind !== kind)) continue;
      const wanted = names[kind].filter(chooser(question.measures));
      if (wanted.length === 0) continue;
      const buckets = bucketsOf(table, question);
      for (const measure of wanted) series.push(seriesOf(table, kind, measure, buckets));
    }
    const rows = loading === null ? lines.lines : Math.round((lines.lines * loading.size) / Math.max(1, lines.bytesRead));
    return { node, id, generation, measures: names, rows, ...edges(lines), series, loading, skipped: lines.skipped };
  };
  if (loading) return make();
  return remembered(opened, JSON.stringify(question), make);
}

function remembered(opened: OpenedRun, key: string, make: () => MetricsAnswer): MetricsAnswer {
  const known = opened.answers.get(key);
  if (known) return known;
  const answer = make();
  const oldest = opened.answers.keys().next();
  if (opened.answers.size >= KEPT && !oldest.done) opened.answers.delete(oldest.value);
  opened.answers.set(key, answer);
  return answer;
}

function namesOf(lines: MetricLines, kind: Series["kind"]): string[] {
  return [...(lines.tables.get(kind)?.measures.keys() ?? [])];
}

function chooser(measures: string | undefined): (name: string) => boolean {
  if (!measures) return (name) => !ofLayer.test(name);
  const wanted = measures.split(",").map((name) => name.trim());
  const prefixes = wanted.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => wanted.includes(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

type Edge = MetricsAnswer["first"];

function edges(lines: MetricLines): { first: Edge; last: Edge } {
  let first: Edge = null;
  let last: Edge = null;
  for (const table of lines.tables.values()) {
    if (table.length === 0) continue;
    const begin = placeOf(table, 0);
    const end = placeOf(table, table.length - 1);
    if (first === null || begin.step < first.step) first = begin;
    if (last === null || end.step > last.step) last = end;
  }
  return { first, last };
}

function placeOf(table: Table, row: number): NonNullable<Edge> {
  const at = (values: ArrayLike<number>) => {
    const value = values[row];
    return value === undefined || Number.isNaN(value) ? 0 : value;
  };
  return { step: at(table.step.values), time: at(table.time.values), tokens: at(table.tokens.values) };
}
