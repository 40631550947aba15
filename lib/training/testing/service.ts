/** A training service with a home folder of its own, and a run that takes seconds. */
import { openDatabase } from "@/lib/db/connection";
import { TrainingService } from "../service/service";
import type { ConfigDocument, JobStep, RunState, RunSummary } from "../types";

export function startService(home: string): { service: TrainingService; close: () => Promise<void> } {
  const { db } = openDatabase(home);
  const service = new TrainingService({ home, project: process.cwd(), db, intervals: { watched: 200, open: 400, idle: 800, away: 1500 } });
  service.start();
  const close = async () => {
    await service.close();
    db.close();
  };
  return { service, close };
}

/** A few steps of two layers of `stories`, on short rows. */
export function tinyConfig(change: { steps?: number; checkpointEvery?: number } = {}): ConfigDocument {
  const { steps = 3, checkpointEvery = 2 } = change;
  return {
    ...{ name: "tiny", method: "distill", family: "stories", bundle: ["data/models", "public/models"], layers: [2, 5] },
    mixer: { options: { form: "discrete", conv_activation: "identity", norm: "none" } },
    data: { train: "data/training/tiny/train", evaluation: "data/training/tiny/evaluation", seq_len: 32 },
    optimiser: { steps, batch: 2, learning_rate: 0.001, warmup: 1 },
    ...{ device: "cpu", log_every: 1, eval_every: 100, eval_batches: 1, checkpoint_every: checkpointEvery },
  };
}

/** Steps that make the data of {@link tinyConfig}. */
export const tinyData: JobStep[] = [
  { name: "stories", title: "Writing stories", argv: ["generate", "--kind", "grammar", "--rows", "200", "--seed", "11", "--out", "{root}/training/tiny/grammar.jsonl"], skip_if: "{root}/training/tiny/grammar.jsonl" },
  {
    name: "prepare",
    title: "Preparing rows",
    argv: ["prepare", "--bundle", "{shipped}/stories", "--source", "{root}/training/tiny/grammar.jsonl", "--out", "{root}/training/tiny", "--length", "65", "--held-out", "8"],
    skip_if: "{root}/training/tiny/train",
  },
];

/** Waits until a run is in one of the states. Rejects with what it says if it comes to another end. */
export async function waitFor(service: TrainingService, node: string, id: string, states: readonly RunState[], seconds = 120): Promise<RunSummary> {
  const ends: readonly RunState[] = ["finished", "failed", "stopped", "interrupted"];
  for (const deadline = Date.now() + seconds * 1000; ; ) {
    const run = await service.runs.summary(node, id);
    if (states.includes(run.state) && run.launch === null) return run;
    if ((ends.includes(run.state) && run.launch === null) || Date.now() > deadline) throw new Error(`${id} is ${run.state} (${run.phase}): ${run.message ?? "no message"} ${run.action ?? ""}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits until a run has taken so many training steps. */
export async function untilStep(service: TrainingService, node: string, id: string, step: number, seconds = 120): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; ; ) {
    const run = await service.runs.summary(node, id);
    const { last } = await service.runs.metrics(node, id, { points: 2 });
    if ((last?.step ?? 0) >= step) return;
    if (!["queued", "running"].includes(run.state) || Date.now() > deadline) throw new Error(`${id} is ${run.state} at step ${run.step}: ${run.message ?? "no message"}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** An export step; the service writes it anew for the run. */
export const exportOf = (): JobStep => ({ name: "export", title: "Exporting", argv: ["export"] });
