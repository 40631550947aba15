/** The steps of a run, from its config: making its data, training, measuring, exporting. */
import type { ConfigDocument, JobStep, Launcher } from "../types";
import { isObject, lastStage, textOf } from "./config-folders";

const folder = (path: string): string => {
  if (path.startsWith("/")) return path;
  return path.startsWith("public/models") ? `{shipped}${path.slice("public/models".length)}` : `{root}/${path.replace(/^(\.\/)*(data\/)?/, "")}`;
};

/** Training and what follows it. Data is made by steps that the preset brings, before these. */
export function stepsOf(config: ConfigDocument, id: string, name: string, launcher: Launcher): JobStep[] {
  const last = lastStage(config);
  const method = textOf(last, "method");
  return [trainStep(launcher), ...(measurable(last, method) ? [evaluateStep(config, last)] : []), ...exportSteps(last, id, name)];
}

export function trainStep(launcher: Launcher): JobStep {
  const processes = launcher.kind === "process" ? (launcher.gpus === "none" ? 1 : launcher.gpus === "all" ? "gpu" : launcher.gpus.length) : launcher.gpusPerNode || 1;
  return { name: "train", title: "Training", argv: ["train", "--config", "{run}/config.json", "--run-dir", "{run}", "--resume"], processes };
}

function measurable(last: ConfigDocument, method: string | null): boolean {
  return (method === "align" || method === "distill" || method === "dpo") && isObject(last.data) && typeof last.data.evaluation === "string";
}

/** The distance to the teacher on the config's held-out rows. */
function evaluateStep(config: ConfigDocument, last: ConfigDocument): JobStep {
  const family = textOf(config, "family") ?? "";
  const data = isObject(last.data) ? last.data : {};
  const length = typeof data.seq_len === "number" ? data.seq_len : 1024;
  return {
    name: "evaluate",
    title: "Measuring",
    argv: [
      ...["evaluate", "--bundle", `{root}/models/${family}`, `{shipped}/${family}`, "--runs", "{run}", "--codecs", codecOf(last) ?? "f32"],
      ...["--rows", `held-out=${folder(String(data.evaluation))}`, "--seq-len", String(length), "--batch", "4", "--limit", "64"],
      ...["--out", "{run}/evaluation.json"],
    ],
  };
}

/** The steps that write the run's bundle into `{run}/export`; none if its method has no bundle. */
export function exportSteps(last: ConfigDocument, id: string, name: string): JobStep[] {
  const method = textOf(last, "method");
  const family = textOf(last, "family") ?? "";
  // A pretrained family needs its tokenizer named; a base that trained cannot be shared with other variants.
  if (method === "pretrain" || last.train === "all") return [];
  return [
    {
      name: "export",
      title: "Exporting",
      argv: [
        ...["export", "--format", "bundle", "--run", "{run}", "--out", "{run}/export", "--fallback", `{root}/models/${family}`, `{shipped}/${family}`],
        ...["--set", id, "--title", name, "--codec", codecOf(last) ?? "q8_0"],
      ],
    },
  ];
}

function codecOf(last: ConfigDocument): string | null {
  return isObject(last.mixer) ? textOf(last.mixer, "codec") : null;
}
