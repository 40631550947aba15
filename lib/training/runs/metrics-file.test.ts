import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunFiles } from "./files";
import { LocalRunFiles } from "./local-files";
import { MetricsFile } from "./metrics-file";
import { metricsLine, pythonLine, randomNumbers, writeRun } from "./testing";

let home: string;
let file: string;
let files: LocalRunFiles;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-metrics-"));
  mkdirSync(path.join(home, "run"));
  file = path.join(home, "run", "metrics.jsonl");
  files = new LocalRunFiles(home);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const line = (step: number, loss = 0.5) => pythonLine({ kind: "train", step, tokens: step * 10, time: 1e9 + step, loss });
const stepsOf = (metrics: MetricsFile) => [...(metrics.lines.tables.get("train")?.step.values.subarray(0, metrics.lines.tables.get("train")?.length) ?? [])];

/** Replaces the file as the trainer does: by a rename. */
function replace(content: string) {
  writeFileSync(`${file}.part`, content);
  renameSync(`${file}.part`, file);
}

describe("a file that grows", () => {
  it("is read from where it was read to, and a torn last line when it is whole", async () => {
    const metrics = new MetricsFile(files, "run");
    expect(await metrics.update()).toEqual({ reset: false, lines: 0 });
    writeFileSync(file, line(1) + line(2).slice(0, 30));
    expect(await metrics.update()).toEqual({ reset: false, lines: 1 });
    expect(await metrics.update()).toEqual({ reset: false, lines: 0 });
    appendFileSync(file, line(2).slice(30) + line(3));
    expect(await metrics.update()).toEqual({ reset: false, lines: 2 });
    expect(stepsOf(metrics)).toEqual([1, 2, 3]);
    expect([metrics.generation, metrics.lines.skipped, metrics.complete]).toEqual([0, 0, true]);
  });

  it("gives every line once, cut anywhere", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 25 }), async (cuts) => {
        const all = Array.from({ length: 20 }, (_, step) => line(step)).join("");
        const metrics = new MetricsFile(files, "run");
        writeFileSync(file, "");
        let at = 0;
        for (const cut of [...cuts, all.length]) {
          appendFileSync(file, all.slice(at, at + cut));
          at = Math.min(all.length, at + cut);
          await metrics.update();
        }
        expect(stepsOf(metrics)).toEqual(Array.from({ length: 20 }, (_, step) => step));
        expect(metrics.generation).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it("is followed while a program writes it, which is killed and goes on from before", async () => {
    // Writes a line every few milliseconds in two halves, so that a kill tears one now and then.
    const writer = (from: number) =>
      spawn(process.execPath, [
        "-e",
        `const fs = require("fs"); let step = ${from}; const fd = fs.openSync(${JSON.stringify(file)}, "a");
         (function next() { const line = JSON.stringify({ kind: "train", step: ++step, tokens: step, time: 1e9 + step, loss: 1 / step }) + "\\n";
           fs.writeSync(fd, line.slice(0, 20)); setTimeout(() => { fs.writeSync(fd, line.slice(20)); setTimeout(next, 1); }, 2); })();`,
      ]);
    const metrics = new MetricsFile(files, "run");
    let last = 0;
    for (let round = 0; round < 2; round++) {
      const child = writer(last);
      const target = last + 40;
      while (last < target) {
        await metrics.update();
        const steps = stepsOf(metrics);
        expect(steps).toEqual(steps.map((_, i) => i + 1));
        last = steps.at(-1) ?? last;
        await wait(5);
      }
      child.kill("SIGKILL");
      await once(child, "exit");
      // A resumed run drops what is past its checkpoint, and a torn line.
      const kept = readFileSync(file, "utf8").split("\n").slice(0, 25);
      replace(`${kept.join("\n")}\n`);
      last = 25;
      expect((await metrics.update()).reset).toBe(true);
      expect(stepsOf(metrics)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
    }
    expect(metrics.lines.skipped).toBe(0);
  });
});

describe("a file that is another", () => {
  it.each([
    ["replaced by a longer one", () => replace(line(1, 9) + line(2, 9) + line(3, 9) + line(4, 9)), [1, 2, 3, 4]],
    ["replaced by a shorter one", () => replace(line(1, 9)), [1]],
    ["written again in place, and longer", () => writeFileSync(file, Array.from({ length: 6 }, (_, i) => line(i + 10, 9)).join("")), [10, 11, 12, 13, 14, 15]],
    ["cut", () => truncateSync(file, line(1).length), [1]],
    ["deleted", () => rmSync(file), []],
  ])("is read anew: %s", async (_name, change, steps) => {
    const metrics = new MetricsFile(files, "run");
    writeFileSync(file, line(1) + line(2) + line(3));
    await metrics.update();
    change();
    expect(await metrics.update()).toEqual({ reset: true, lines: steps.length });
    expect(stepsOf(metrics)).toEqual(steps);
    expect(metrics.generation).toBe(1);
    expect(await metrics.update()).toEqual({ reset: false, lines: 0 });
  });

  it("is read anew if it changes between two parts of one reading", async () => {
    const random = randomNumbers(3);
    writeFileSync(file, Array.from({ length: 12_000 }, (_, i) => metricsLine(i, 12_000, random)).join(""));
    let reads = 0;
    const changing: RunFiles = {
      stat: (run, name) => files.stat(run, name),
      read: async (run, name, offset, length) => {
        if (++reads === 3) replace(line(1, 9) + line(2, 9));
        return files.read(run, name, offset, length);
      },
    };
    const metrics = new MetricsFile(changing, "run");
    expect(await metrics.update()).toEqual({ reset: true, lines: 2 });
    expect(stepsOf(metrics)).toEqual([1, 2]);
  });
});

describe("garbage", () => {
  it("is skipped and counted, also a line without an end", async () => {
    writeFileSync(file, `${line(1)}\u0000\u0001garbage\n${line(2)}{"kind": "tr\n`);
    appendFileSync(file, Buffer.alloc(9 << 20, 0x78));
    const metrics = new MetricsFile(files, "run");
    await metrics.update();
    appendFileSync(file, `${"y".repeat(100)}\n${line(3)}`);
    await metrics.update();
    expect(stepsOf(metrics)).toEqual([1, 2, 3]);
    expect(metrics.lines.skipped).toBe(3);
  });

  it("names outside of a run are refused", async () => {
    await expect(files.read("../run", "metrics.jsonl", 0, 1)).rejects.toThrow();
    await expect(files.read("run", "../run/metrics.jsonl" as "metrics.jsonl", 0, 1)).rejects.toThrow();
  });
});

it("a link out of the folder is not followed", async () => {
  writeFileSync(path.join(home, "..", `${path.basename(home)}.secret`), "secret");
  symlinkSync(path.join(home, "..", `${path.basename(home)}.secret`), path.join(home, "run", "log.txt"));
  try {
    await expect(files.read("run", "log.txt", 0, 10)).rejects.toMatchObject({ code: "path" });
    expect(await files.stat("run", "log.txt")).toBeNull();
  } finally {
    rmSync(path.join(home, "..", `${path.basename(home)}.secret`));
  }
});

it("readers of the same file at once share one reading", async () => {
  writeRun(path.join(home, "run"), 5000);
  let reads = 0;
  const counted: RunFiles = { stat: (run, name) => files.stat(run, name), read: (...args) => (reads++, files.read(...args)) };
  const metrics = new MetricsFile(counted, "run");
  await Promise.all(Array.from({ length: 200 }, () => metrics.update()));
  expect(reads).toBeLessThan(5);
  expect(metrics.lines.lines).toBe(5000);
});
