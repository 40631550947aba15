/** The steps of a run: making its data, training, measuring, exporting. */
import type { RunConfig } from "../config/run-config";
import type { JobStep, Launcher } from "../types";
import { pathOnNode } from "./config-folders";
import { ServiceError } from "./errors";

/** `config`: of the last stage. `data`: the steps that make the data, of the preset. */
export function stepsOf(config: RunConfig, id: string, name: string, launcher: Launcher, data: readonly JobStep[] = []): JobStep[] {
  const steps = [...data, trainStep(launcher), evaluateStep(config), exportStep(config, id, name)];
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
function evaluateStep(config: RunConfig): JobStep | null {
  const { method, family, data } = config;
  // Held-out data of DPO are pairs, not rows.
  if ((method !== "align" && method !== "distill") || data.evaluation === null) return null;
  return {
    name: "evaluate",
    title: "Measuring",
    argv: [
      ...["evaluate", "--bundle", `{root}/models/${family}`, `{shipped}/${family}`, "--runs", "{run}", "--codecs", config.mixer.codec ?? "f32", "--tasks", "agreement"],
      ...["--rows", `held-out=${pathOnNode(data.evaluation, folders)}`, "--seq-len", String(data.seq_len), "--batch", "4", "--limit", family === "stories" ? "16" : "64"],
      ...["--out", "{run}/evaluation.json"],
    ],
  };
}

/** Why no bundle can be made of a run; null if one can. */
export function cannotExport(config: RunConfig): string | null {
  if (config.method === "pretrain") return "A new teacher needs a tokenizer: export it on the command line (docs/import-export.md).";
  if (config.train === "all") return 'train "all" changes the base, which the variants of a bundle share: export it with --format hf (docs/import-export.md).';
  return null;
}

/** The step that writes the run's bundle into `{run}/export`, under the run's id, so that it takes no other's place; null where it has none. */
export function exportStep(config: RunConfig, id: string, name: string): JobStep | null {
  if (cannotExport(config) !== null) return null;
  const { family, mixer, method } = config;
  return {
    name: "export",
    title: "Exporting",
    argv: [
      ...["export", "--format", "bundle", "--run", "{run}", "--out", "{run}/export", "--fallback", `{root}/models/${family}`, `{shipped}/${family}`],
      ...["--set", id, "--title", name, "--codec", mixer.codec ?? (method === "draft" ? "q4_0" : "q8_0")],
    ],
  };
}

/** The trainer's commands that a job may be made of. */
const allowed = new Set(["generate", "prepare", "pack", "select", "train", "evaluate", "export", "import-gguf", "import-hf", "verify", "variant"]);

/** Steps of a request, checked; training and export are written anew, since both are tied to the run. Throws ServiceError. */
export function launchedSteps(steps: readonly JobStep[], config: RunConfig, id: string, name: string, launcher: Launcher): JobStep[] {
  const unknown = steps.find(({ argv }) => !allowed.has(argv[0] ?? ""));
  if (unknown) throw new ServiceError(422, "step-unknown", `The step "${unknown.title}" is not one of the trainer's commands.`, `Use one of: ${[...allowed].join(", ")}.`);
  const names = steps.map((step) => step.name);
  if (new Set(names).size < names.length) throw new ServiceError(422, "step-twice", "Two steps have the same name.", "Give each step a name of its own.");
  if (!names.includes("train")) throw new ServiceError(422, "step-missing", "No step trains.", "Add the step train.");
  return steps.flatMap((step) => {
    if (step.name === "train") return [trainStep(launcher)];
    if (step.name === "export") return exportStep(config, id, name) ?? [];
    return [step];
  });
}
