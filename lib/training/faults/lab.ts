/** What the fault tests and `npm run bench:reliability` share: a home folder with data, one real run, and what a fault did to its measures. */
import { execFile } from "node:child_process";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { fillRoot, makeHome, type TestHome } from "../testing/home";
import { tinyConfig } from "../testing/service";
import { trainStep } from "../service/job-steps";
import type { TrainingService } from "../service/service";
import type { LaunchRequest, RunSummary } from "../types";

const execute = promisify(execFile);

/** Optimiser steps of the run, and after how many of them it checkpoints. */
export const STEPS = 120;
export const EVERY = 20;

/** What one fault came to, as an entry of results/reliability.json: `value` 1 means that nothing was lost, unless `unit` is another. */
export type Finding = { fault: string; value: number; unit: string; of: Record<string, string | number | boolean> };

/** A home folder in which {@link request} can be launched. */
export async function faultHome(): Promise<TestHome> {
  const made = await makeHome();
  await writeRows(path.join(made.home, "training", "tiny", "train"));
  return made;
}

/** As {@link faultHome}, in a folder that is there. */
export async function fillHome(home: string): Promise<void> {
  await fillRoot(home);
  await writeRows(path.join(home, "training", "tiny", "train"));
}

/** 64 rows of 65 token ids, as the trainer's data folders hold them: a NumPy file of uint16. */
async function writeRows(folder: string): Promise<void> {
  const [rows, length] = [64, 65];
  const header = `{'descr': '<u2', 'fortran_order': False, 'shape': (${rows}, ${length}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const start = Buffer.alloc(10);
  start.write("\x93NUMPY\x01\x00", "latin1");
  start.writeUInt16LE(padded.length, 8);
  const ids = new Uint16Array(rows * length);
  // A linear congruential generator: the same rows everywhere.
  let state = 1;
  for (let k = 0; k < ids.length; k += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    ids[k] = 8 + ((state >>> 16) % 4000);
  }
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "rows-00000.npy"), Buffer.concat([start, Buffer.from(padded, "latin1"), Buffer.from(ids.buffer)]));
}

const launcher = { kind: "process", gpus: "none" } as const;

/** The run: two layers of `stories` on the CPU, a line of metrics a step. */
export function request(node: string): LaunchRequest {
  const config = tinyConfig({ steps: STEPS, checkpointEvery: EVERY });
  return { node, name: "Fault", config: { ...config, data: { train: "data/training/tiny/train", evaluation: null, seq_len: 32 } }, launcher, steps: [trainStep(launcher)] };
}

/** Losses by step. `repeated`: lines of a step that had one already; `torn`: lines that are no JSON. */
export type Losses = { byStep: Map<number, number>; repeated: number; torn: number };

export async function readLosses(folder: string): Promise<Losses> {
  const text = await readFile(path.join(folder, "metrics.jsonl"), "utf8").catch(() => "");
  const found: Losses = { byStep: new Map(), repeated: 0, torn: 0 };
  for (const line of text.split("\n").filter(Boolean)) {
    try {
      const { kind, step, loss } = JSON.parse(line) as { kind: string; step: number; loss: number };
      if (kind !== "train") continue;
      if (found.byStep.has(step)) found.repeated += 1;
      found.byStep.set(step, loss);
    } catch {
      found.torn += 1;
    }
  }
  return found;
}

export type Damage = { lost: number; repeated: number; torn: number; differing: number };

/** How the measures differ from those of a whole run: steps that are missing, repeated, torn, or of another loss than in `reference`. */
export function damageOf(losses: Losses, reference: Losses | null): Damage {
  const steps = Array.from({ length: STEPS }, (_, k) => k + 1);
  const lost = steps.filter((step) => !losses.byStep.has(step)).length;
  const differing = reference ? steps.filter((step) => losses.byStep.get(step) !== reference.byStep.get(step)).length : 0;
  return { lost, repeated: losses.repeated, torn: losses.torn, differing };
}

export const undamaged: Damage = { lost: 0, repeated: 0, torn: 0, differing: 0 };

/** A finding of 1 if nothing was damaged, else of 0. */
export function findingOf(fault: string, damage: Damage, of: Finding["of"]): Finding {
  const survived = Object.values(damage).every((count) => count === 0);
  return { fault, value: survived ? 1 : 0, unit: "survived", of: { ...of, steps: STEPS, ...damage } };
}

/** The same, of what a dashboard tells of a run. */
export async function toldLosses(service: TrainingService, node: string, id: string): Promise<Losses> {
  const { series } = await service.runs.metrics(node, id, { measures: "loss", kind: "train", points: 20_000 });
  const found: Losses = { byStep: new Map(), repeated: 0, torn: 0 };
  for (const { step, value } of series) {
    for (const [k, at] of step.entries()) {
      if (found.byStep.has(at)) found.repeated += 1;
      found.byStep.set(at, value[k] ?? Number.NaN);
    }
  }
  return found;
}

/** How many steps of two sets of losses are in one alone, or differ by more than the places that are told. */
export function differences(a: Losses, b: Losses): number {
  const steps = new Set([...a.byStep.keys(), ...b.byStep.keys()]);
  const same = (x: number | undefined, y: number | undefined) => x !== undefined && y !== undefined && Math.abs(x - y) <= 1e-5 * Math.abs(x);
  return [...steps].filter((step) => !same(a.byStep.get(step), b.byStep.get(step))).length;
}

/** Waits until `look` gives a value. Rejects with what was waited for. */
export async function until<T>(what: string, look: () => T | null | false | undefined | Promise<T | null | false | undefined>, seconds = 100): Promise<T> {
  for (const deadline = Date.now() + 1000 * seconds; ; ) {
    const found = await look();
    if (found !== null && found !== false && found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until the run has written this many steps. */
export const untilStep = (folder: string, step: number): Promise<number> =>
  until(`step ${step} of ${path.basename(folder)}`, async () => {
    const { byStep } = await readLosses(folder);
    return byStep.size >= step && byStep.size;
  });

/** Waits until a dashboard says that the run is in a state. Rejects if it says that it failed. */
export function untilState(service: TrainingService, node: string, id: string, state: RunSummary["state"], seconds = 180): Promise<RunSummary> {
  return until(`${id} ${state}`, async () => {
    const run = await service.runs.summary(node, id);
    if (run.state === "failed" && state !== "failed") throw new Error(`${id} failed: ${run.message} ${run.action}`);
    return run.state === state && run.launch === null && run;
  }, seconds);
}

export async function launchedPid(folder: string): Promise<number> {
  const { pid } = JSON.parse(await readFile(path.join(folder, "launch.json"), "utf8")) as { pid: number };
  return pid;
}

/** Kills a process and all that descends from it at one moment, as a power cut does: none of them can react to another's end. */
export async function killFamily(pid: number): Promise<number> {
  const { stdout } = await execute("ps", ["-A", "-o", "pid=,ppid="]);
  const rows = stdout.trim().split("\n").map((row) => row.trim().split(/\s+/).map(Number));
  const family = [pid];
  for (const parent of family) for (const [child = 0, of] of rows) if (of === parent) family.push(child);
  for (const member of family) process.kill(member, "SIGSTOP");
  for (const member of family.reverse()) process.kill(member, "SIGKILL");
  return family.length;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What a run that was cut off in the middle of a write leaves. */
export const tearLastLine = (folder: string): Promise<void> => appendFile(path.join(folder, "metrics.jsonl"), '{"kind": "train", "step": 7, "lo');

export const secondsSince = (start: number): number => Math.round((performance.now() - start) / 10) / 100;
