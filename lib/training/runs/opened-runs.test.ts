import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { coarseLines } from "./coarse";
import { LocalRunFiles } from "./local-files";
import { answerMetrics } from "./metrics-answer";
import { OpenedRuns } from "./opened-runs";
import { pythonLine, writeLongRun, writeRun } from "./testing";

const LINES = 1_000_000;
const SPIKE = 654_321;
let home: string;
let files: LocalRunFiles;

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-opened-"));
  files = new LocalRunFiles(home);
  await writeLongRun(path.join(home, "long"), LINES, { spike: SPIKE });
  for (let i = 0; i < 6; i++) writeRun(path.join(home, `short-${i}`), 3000, { seed: i });
}, 300_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("a run of a million lines", () => {
  it("is answered at once with lines at even distances, then with all, and other work goes on meanwhile", async () => {
    const opened = new OpenedRuns().open("local", "long", files);
    const ask = (points = 500) => answerMetrics(opened, "local", "long", { measures: "loss,tokens_per_second", points });
    const first = await ask();
    expect(first.loading).not.toBeNull();
    expect(first.rows).toBeGreaterThan(0.9 * LINES);
    expect(first.rows).toBeLessThan(1.1 * LINES);
    expect(first.last?.step).toBe(20 * (LINES - 1));
    const coarse = first.series.find(({ measure, kind }) => measure === "loss" && kind === "train");
    expect(coarse?.step.length).toBeGreaterThanOrEqual(400);

    let turns = 0;
    const other = setInterval(() => turns++, 0);
    await opened.refresh();
    clearInterval(other);
    expect(turns).toBeGreaterThan(50);

    const all = await ask();
    expect([all.loading, all.rows, all.skipped]).toEqual([null, LINES, 0]);
    const loss = all.series.find(({ measure, kind }) => measure === "loss" && kind === "train");
    expect(loss?.value.length).toBe(500);
    expect(loss?.high.filter((high) => high === 1000)).toHaveLength(1);
    expect(loss?.low.every((low) => low !== null && low >= 0 && low < 0.05)).toBe(true);
    const tables = opened.file.lines.tables;
    expect([tables.get("train")?.length, tables.get("eval")?.length]).toEqual([LINES * 0.98, LINES * 0.02]);

    const zoomed = await answerMetrics(opened, "local", "long", { measures: "loss", kind: "train", from: 20 * (SPIKE - 3), to: 20 * (SPIKE + 2), points: 100 });
    expect(zoomed.series[0]?.step).toEqual([-3, -2, -1, 0, 1, 2].map((i) => 20 * (SPIKE + i)).filter((step) => (step / 20) % 50 !== 49));
    expect(zoomed.series[0]?.value).toContain(1000);
    // The same question is answered from what was worked out.
    expect(await ask()).toBe(all);
  });

  it("looks the same from afar in the coarse view", async () => {
    const lines = await coarseLines(files, "long", (await files.stat("long", "metrics.jsonl"))?.size ?? 0, 300);
    const steps = lines?.tables.get("train")?.step.values.subarray(0, lines.tables.get("train")?.length) ?? new Float64Array();
    expect([...steps]).toEqual([...new Set(steps)].sort((a, b) => a - b));
    expect(lines?.skipped).toBe(0);
    const widest = Math.max(...[...steps].map((step, i) => step - (steps[i - 1] ?? 0)));
    expect(widest).toBeLessThan((20 * LINES) / 250);
  });
});

describe("opened runs", () => {
  it("are given up, the least used first, when they take too much memory", async () => {
    const one = new OpenedRuns().open("local", "short-0", files);
    await one.refresh();
    const runs = new OpenedRuns(3.5 * one.bytes);
    for (let i = 0; i < 6; i++) await runs.open("local", `short-${i}`, files).refresh();
    expect(runs.size).toBe(3);
    expect(runs.bytes).toBeLessThanOrEqual(3.5 * one.bytes);
    const kept = runs.open("local", "short-5", files);
    expect(kept.file.lines.lines).toBe(3000);
    await runs.open("local", "short-0", files).refresh();
    expect(runs.open("local", "short-5", files)).toBe(kept);
    runs.forget("local", "short-5");
    expect(runs.open("local", "short-5", files)).not.toBe(kept);
  });

  it("keep one that is larger than all may be", async () => {
    const runs = new OpenedRuns(1);
    const opened = runs.open("local", "short-0", files);
    await opened.refresh();
    expect(runs.open("local", "short-0", files)).toBe(opened);
  });

  it("answer with new lines when there are some", async () => {
    writeRun(path.join(home, "grows"), 100);
    const opened = new OpenedRuns().open("local", "grows", files);
    const before = await answerMetrics(opened, "local", "grows", { points: 1000 });
    appendFileSync(path.join(home, "grows", "metrics.jsonl"), pythonLine({ kind: "train", step: 1e6, tokens: 5, time: 2e9, loss: 7, "align.0": 1, "align.1": 2, "kl.attn0": 3 }));
    const after = await answerMetrics(opened, "local", "grows", { points: 1000 });
    expect([before.rows, after.rows, after.last?.step]).toEqual([100, 101, 1e6]);
    expect(after.generation).toBe(before.generation);
    // Layers are asked for by name.
    expect(after.series.map(({ measure }) => measure)).toContain("kl.attn0");
    expect(after.series.map(({ measure }) => measure)).not.toContain("align.0");
    const layers = await answerMetrics(opened, "local", "grows", { measures: "align.*", points: 10 });
    expect(layers.series.map(({ measure, value }) => [measure, value])).toEqual([
      ["align.0", [1]],
      ["align.1", [2]],
    ]);
  });

  it("of a run without metrics are empty", async () => {
    const answer = await answerMetrics(new OpenedRuns().open("local", "nothing", files), "local", "nothing", { points: 10 });
    expect([answer.rows, answer.first, answer.series]).toEqual([0, null, []]);
  });
});
