/** Small real runs of the trainer, for tests of launching and following. */
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import type { Job, JobStep, Launcher } from "../types";

export type Status = { state: string; updated: number; phase?: string; step?: number; steps?: number; message?: string; action?: string };

/** A step that ends within a second or so; {@link quickWords} is what it prints. */
export const quickStep: JobStep = { name: "check", title: "Checking", argv: ["verify", "{shipped}/stories"] };
export const quickWords = "All files are there and whole.";

/** A step that waits for a config which nobody writes: `putRun` makes it a pipe. */
export const endlessStep: JobStep = { name: "train", title: "Training", argv: ["train", "--config", "{run}/pipe.json", "--run-dir", "{run}"] };

/** Packs the texts that `putRun` leaves, and trains the family `stories` on the CPU: a few steps a second. */
export const trainingSteps: JobStep[] = [
  {
    name: "prepare",
    title: "Packing",
    argv: ["prepare", "--bundle", "{shipped}/stories", "--source", "{root}/training/stories.jsonl", "--out", "{root}/training/tiny", "--length", "33", "--held-out", "8"],
    skip_if: "{root}/training/tiny/recipe.json",
  },
  { name: "train", title: "Training", argv: ["train", "--config", "{run}/config.json", "--run-dir", "{run}", "--resume"], processes: 1 },
];

function trainingConfig(root: string, shipped: string, steps: number): Record<string, unknown> {
  return {
    ...{ name: "tiny", family: "stories", bundle: [shipped], method: "distill", layers: [3], device: "cpu" },
    data: { train: `${root}/training/tiny/train`, evaluation: null, seq_len: 16 },
    optimiser: { steps, batch: 2, learning_rate: 0.001, warmup: 2 },
    ...{ log_every: 1, eval_every: 1000, checkpoint_every: 1000 },
  };
}

/** Texts that are no copies of each other. */
function texts(count: number): string[] {
  const words = "a the little big red old bird cat dog girl tree house saw found made ran sang and then because under happy sad".split(" ");
  let seed = 1;
  const word = () => words[(seed = (seed * 48271) % 2147483647) % words.length];
  return Array.from({ length: count }, () => `${Array.from({ length: 60 }, word).join(" ")}.`);
}

/** Makes a run directory as a launch does. `training`: how many steps the training step runs. */
export async function putRun(root: string, id: string, steps: readonly JobStep[], launcher: Launcher, training?: { shipped: string; steps: number }): Promise<string> {
  const folder = path.join(root, "runs", id);
  const job: Job = { version: 1, id, name: id, created: Date.now() / 1000, family: "stories", preset: null, steps: [...steps], launcher };
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "job.json"), JSON.stringify(job));
  if (steps.some(({ argv }) => argv.includes("{run}/pipe.json"))) await promisify(execFile)("mkfifo", [path.join(folder, "pipe.json")]).catch(() => undefined);
  if (training) {
    await writeFile(path.join(folder, "config.json"), JSON.stringify(trainingConfig(root, training.shipped, training.steps)));
    await mkdir(path.join(root, "training"), { recursive: true });
    await writeFile(path.join(root, "training", "stories.jsonl"), texts(80).map((text) => `${JSON.stringify({ text })}\n`).join(""));
  }
  return folder;
}

export async function readStatus(folder: string): Promise<Status> {
  return JSON.parse(await readFile(path.join(folder, "status.json"), "utf8")) as Status;
}

/** The status once it is as wanted; rejects with the last one after `seconds`. */
export async function untilStatus(folder: string, wanted: (status: Status) => boolean, seconds = 90): Promise<Status> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const status = await readStatus(folder);
    if (wanted(status)) return status;
    if (Date.now() > end) throw new Error(`the run's status stays ${JSON.stringify(status)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const isOver = ({ state }: Status): boolean => state !== "queued" && state !== "running";
