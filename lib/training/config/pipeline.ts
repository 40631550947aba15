/** Pipelines: several stages in one run directory. The same rules as the trainer's `run/pipeline.py`. */
import type { ConfigDocument } from "../types";
import { isObject } from "./document";
import { stepwiseSchema } from "./schema";

export class PipelineError extends Error {
  override readonly name = "PipelineError";
  constructor(
    /** The field, or "" for the whole. */
    readonly path: string,
    message: string,
  ) {
    super(message);
  }
}

export type StageDocument = { readonly name: string; readonly config: ConfigDocument };

export function isPipeline(document: ConfigDocument): boolean {
  return Object.hasOwn(document, "stages") || Object.hasOwn(document, "stepwise");
}

/**
 * Name and whole config of each stage. Stages after the first start from "previous", and what that lacks from the
 * shared `mixer.start_from` or fresh, unless they say otherwise. Throws {@link PipelineError}.
 *
 * layerCount: the teacher's layers; null: not known, which `stepwise` cannot do without.
 */
export function stageDocuments(document: ConfigDocument, layerCount: number | null): StageDocument[] {
  const stages = expandedStages(document, layerCount);
  const shared = Object.fromEntries(Object.entries(document).filter(([key]) => key !== "stages" && key !== "stepwise"));
  return stages.map(({ name, ...fields }, index) => {
    const config = merge(shared, fields);
    config.mixer ??= {};
    const own = fields.mixer ?? {};
    if (index > 0 && isObject(config.mixer) && !(isObject(own) && Object.hasOwn(own, "start_from"))) {
      const given = config.mixer.start_from || ["init"];
      config.mixer = { ...config.mixer, start_from: ["previous", ...(Array.isArray(given) && given.length > 0 ? given : Array.isArray(given) ? ["init"] : [given])] };
    }
    return { name, config };
  });
}

type NamedStage = ConfigDocument & { name: string };

function expandedStages(document: ConfigDocument, layerCount: number | null): NamedStage[] {
  const given = Object.hasOwn(document, "stages") ? document.stages : [{}];
  if (!Array.isArray(given) || given.length === 0 || !given.every(isObject)) throw new PipelineError("stages", "expected a list of objects, at least one");
  let stages: NamedStage[] = given.map((stage, index) => ({ ...stage, name: String(stage.name ?? stage.method ?? `stage-${index}`) }));
  if (Object.hasOwn(document, "stepwise")) {
    const single = stages.length === 1;
    const steps = replacedLayers(document.stepwise, layerCount);
    stages = steps.flatMap((step) => stages.map((stage) => ({ ...stage, name: single ? step.name : `${step.name}-${stage.name}`, layers: step.layers })));
  }
  const names = stages.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new PipelineError("stages", `two are named '${twice}'`);
  return stages;
}

/** `shared` with `changes`, section by section; lists and plain values are replaced. */
export function merge(shared: ConfigDocument, changes: ConfigDocument): ConfigDocument {
  const merged: ConfigDocument = { ...shared };
  for (const [key, value] of Object.entries(changes)) {
    const held = merged[key];
    merged[key] = isObject(value) ? merge(isObject(held) ? held : {}, value) : value;
  }
  return merged;
}

/** A name, such as attn50, and the layers to replace, of each step of `stepwise`. Throws {@link PipelineError}. */
export function replacedLayers(stepwise: unknown, layerCount: number | null): { name: string; layers: number[] }[] {
  const parsed = stepwiseSchema.safeParse(stepwise);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new PipelineError(["stepwise", ...(issue?.path ?? [])].join("."), issue?.message ?? "not valid");
  }
  if (layerCount === null) throw new PipelineError("stepwise", "the teacher's number of layers is not known: choose its family");
  const { ratios, selection } = parsed.data as { ratios: number[]; selection: "interleaved" | number[][] };
  if (ratios.some((ratio, place) => place > 0 && ratio >= (ratios[place - 1] ?? 0))) throw new PipelineError("stepwise.ratios", "each must be less than the one before");
  if (selection !== "interleaved" && selection.length !== ratios.length) throw new PipelineError("stepwise.selection", `${ratios.length} ratios need ${ratios.length} lists`);
  const all = Array.from({ length: layerCount }, (_, layer) => layer);
  let kept = all;
  return ratios.map((ratio, place) => {
    let chosen: number[];
    if (selection === "interleaved") {
      const wanted = Math.max(Math.floor(ratio * layerCount + 0.5), ratio === 0 ? 0 : 1);
      chosen = Array.from({ length: wanted }, (_, i) => kept[Math.floor((i * kept.length) / wanted)] ?? 0);
    } else {
      chosen = [...new Set(selection[place])].sort((one, other) => one - other);
      if (!chosen.every((layer) => kept.includes(layer))) throw new PipelineError("stepwise.selection", "a list names layers that the one before has replaced");
    }
    if (chosen.length === layerCount) throw new PipelineError("stepwise", "a step replaces no layer");
    kept = chosen;
    return { name: `attn${Math.floor(100 * ratio)}`, layers: all.filter((layer) => !chosen.includes(layer)) };
  });
}
