/** The steps of a run, from its config: training, measuring, exporting. Data is made by steps that the preset brings, before these. */
import type { PlannedStage } from "../config/validate";
import type { JobStep, Launcher } from "../types";
import { pathOnNode } from "./config-folders";

type Config = PlannedStage["config"];

/** `config`: of the last stage. Measuring compares with a teacher; a bundle is made where {@link exportStep} can. */
export function stepsOf(config: Config, id: string, name: string, launcher: Launcher): JobStep[] {
  const steps = [trainStep(launcher), evaluateStep(config), exportStep(config, id, name)];
  return steps.filter((step) => step !== null);
}

export function trainStep(launcher: Launcher): JobStep {
  const ofProcess = (gpus: "all" | "none" | number[]) => (gpus === "all" ? ("gpu" as const) : gpus === "none" ? 1 : gpus.length);
  const processes = launcher.kind === "process" ? ofProcess(launcher.gpus) : Math.max(1, launcher.gpusPerNode);
  return { name: "train", title: "Training", argv: ["train", "--config", "{run}/config.json", "--run-dir", "{run}", "--resume"], processes };
}

/** Placeholders where a config on a node has folders. */
const folders = { root: "{root}", shipped: "{shipped}" };

/** The distance to the teacher on the config's held-out rows; null where the method or the config has none. */
function evaluateStep(config: Config): JobStep | null {
  const { method, family, data, mixer } = config;
  if (!["align", "distill", "dpo"].includes(method) || data.evaluation === null) return null;
  return {
    name: "evaluate",
    title: "Measuring",
    argv: [
      ...["evaluate", "--bundle", `{root}/models/${family}`, `{shipped}/${family}`, "--runs", "{run}", "--codecs", mixer.codec ?? "f32"],
      ...["--rows", `held-out=${pathOnNode(data.evaluation, folders)}`, "--seq-len", String(data.seq_len), "--batch", "4", "--limit", "64"],
      ...["--out", "{run}/evaluation.json"],
    ],
    processes: 1,
  };
}

/**
 * The step that writes the run's bundle into `{run}/export`; null where it has none: a pretrained family needs a tokenizer,
 * and a base that trained too cannot be shared with other variants.
 */
export function exportStep(config: Config, id: string, name: string): JobStep | null {
  const { method, family, mixer, train } = config;
  if (method === "pretrain" || train === "all") return null;
  return {
    name: "export",
    title: "Exporting",
    argv: [
      ...["export", "--format", "bundle", "--run", "{run}", "--out", "{run}/export", "--fallback", `{root}/models/${family}`, `{shipped}/${family}`],
      ...["--set", id, "--title", name, "--codec", mixer.codec ?? "q8_0"],
    ],
    processes: 1,
  };
}
