/** How long it takes to open a run of a million lines of metrics: `npm run bench:runs [lines]` prints JSON. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { LocalRunFiles } from "@/lib/training/runs/local-files";
import { answerMetrics } from "@/lib/training/runs/metrics-answer";
import { OpenedRuns } from "@/lib/training/runs/opened-runs";
import { writeLongRun } from "@/lib/training/runs/testing";

export interface RunOpening {
  lines: number;
  bytes: number;
  /** Until the first answer, a chart of lines at even distances. */
  firstAnswerMs: number;
  /** Until every line was read and a chart of all was answered. */
  completeMs: number;
  /** The longest time that the event loop was held up meanwhile. */
  longestPauseMs: number;
  /** A chart of 1000 points of all series, of the run that is open. */
  chartMs: number;
  /** Memory of the columns. */
  memoryBytes: number;
}

/** Writes a run of so many lines into a temporary folder and opens it, as the dashboard does. Times are medians of `repeats`. */
export async function measureRunOpening(lines = 1_000_000, repeats = 3): Promise<RunOpening> {
  const home = await mkdtemp(path.join(tmpdir(), "mambascope-runs-"));
  try {
    const bytes = await writeLongRun(path.join(home, "long"), lines);
    const openings: RunOpening[] = [];
    for (let i = 0; i < repeats; i++) openings.push(await openOnce(home, lines, bytes));
    openings.sort((a, b) => a.completeMs - b.completeMs);
    const middle = openings[repeats >> 1];
    if (!middle) throw new RangeError("repeats must be at least 1");
    return middle;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function openOnce(home: string, lines: number, bytes: number): Promise<RunOpening> {
  const opened = new OpenedRuns().open("local", "long", new LocalRunFiles(home));
  const ask = () => answerMetrics(opened, "local", "long", { points: 1000 });
  let longestPauseMs = 0;
  let seen = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    longestPauseMs = Math.max(longestPauseMs, now - seen);
    seen = now;
  }, 1);
  const begun = performance.now();
  await ask();
  const firstAnswerMs = performance.now() - begun;
  await opened.refresh();
  const all = await ask();
  const completeMs = performance.now() - begun;
  clearInterval(watch);
  if (all.loading || all.rows !== lines) throw new Error(`${all.rows} of ${lines} lines were read`);
  opened.answers.clear();
  const charted = performance.now();
  await ask();
  const chartMs = performance.now() - charted;
  return { lines, bytes, firstAnswerMs, completeMs, longestPauseMs, chartMs, memoryBytes: opened.bytes };
}

export async function main([lines = "1000000"]: string[]): Promise<number> {
  console.log(JSON.stringify(await measureRunOpening(Number(lines)), null, 1));
  return 0;
}
