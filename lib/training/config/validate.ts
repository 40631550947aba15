/** Whether the trainer would take a run config, and what is wrong with each field. */
import type { z } from "zod";
import type { Architecture } from "@/lib/hybrid/config";
import { mamba2ConfigSchema } from "@/lib/hybrid/mamba2";
import type { ConfigDocument, ConfigProblem } from "../types";
import { isObject, parsePath, pathText, sameJson, valueAt } from "./document";
import { isPipeline, PipelineError, stageDocuments } from "./pipeline";
import { brokenRules, repeatedLayers, type Broken } from "./rules";
import type { RunConfig } from "./run-config";
import { runSchema, withSections } from "./schema";

/** One stage of a run as the trainer sees it. `name` null: the run is no pipeline. */
export type PlannedStage = { readonly name: string | null; readonly config: RunConfig };

export type Checked = {
  /** Of a pipeline, the stage is named before the message. No error among them: the trainer takes the config. */
  readonly problems: ConfigProblem[];
  /** All stages with their defaults; null where the config is not valid. */
  readonly stages: readonly PlannedStage[] | null;
};

/** What is known of the teacher; null: its family is not known here. */
export type Teacher = Pick<Architecture, "num_hidden_layers"> & Partial<Architecture>;

/** Checks a run config or a pipeline against the schema and the rules between fields, and against the teacher's shape where that is known. */
export function checkConfig(document: unknown, teacher: Teacher | null): Checked {
  if (!isObject(document)) return { problems: [problem("", "expected an object")], stages: null };
  if (!isPipeline(document)) {
    const { problems, config } = checkRun(document, teacher);
    return { problems, stages: config && !hasErrors(problems) ? [{ name: null, config }] : null };
  }
  try {
    const checked = stageDocuments(document, teacher?.num_hidden_layers ?? null).map(({ name, config }, index) => ({ index, name, ...checkRun(config, teacher) }));
    const problems = checked.flatMap(({ index, name, problems: own }) => own.map((one) => placed(document, index, name, one)));
    problems.push(...betweenStages(checked));
    const stages = checked.flatMap(({ name, config }) => (config ? [{ name, config }] : []));
    return { problems: withoutRepeats(problems), stages: hasErrors(problems) ? null : stages };
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return { problems: [problem(error.path, error.message)], stages: null };
  }
}

export const hasErrors = (problems: readonly ConfigProblem[]): boolean => problems.some(({ severity }) => severity === "error");

const problem = (path: string, message: string, severity: ConfigProblem["severity"] = "error"): ConfigProblem => ({ path, message, severity });

function checkRun(document: ConfigDocument, teacher: Teacher | null): { problems: ConfigProblem[]; config: RunConfig | null } {
  const parsed = runSchema.safeParse(withSections(document));
  if (!parsed.success) return { problems: parsed.error.issues.flatMap((issue) => describe(issue)), config: null };
  const config = parsed.data as RunConfig;
  if (config.layers.length === 0 && config.mixture.length > 0) {
    config.layers = [...new Set(config.mixture.flatMap(({ layers }) => layers))].sort((one, other) => one - other);
  }
  const broken = repeatedLayers(config);
  if (broken.length === 0) broken.push(...brokenRules(config));
  if (broken.length === 0 && teacher) broken.push(...misfits(config, teacher));
  return { problems: broken.map(({ path, message }) => problem(path, message)), config };
}

/** A schema's issue in words, at the field it concerns. */
function describe(issue: z.core.$ZodIssue): ConfigProblem[] {
  const path = issue.path.map(String).join(".");
  const at = (key: string): string => (path === "" ? key : `${path}.${key}`);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => problem(at(key), "there is no such field"));
    case "invalid_type":
      if (issue.input === undefined && issue.message.includes("received undefined")) return [problem(path, "is missing: it has no default")];
      return [problem(path, `expected ${issue.expected === "int" ? "a whole number" : article(issue.expected)}`)];
    case "too_small":
      if (issue.origin === "array") return [problem(path, `needs at least ${issue.minimum} item`)];
      return [problem(path, `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`)];
    case "too_big":
      return [problem(path, `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`)];
    case "invalid_value":
      return [problem(path, `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`)];
    case "invalid_union": {
      // The alternative that got furthest says what is wrong: an item of a list rather than "no list".
      const deepest = issue.errors.toSorted((one, other) => depth(other) - depth(one))[0] ?? [];
      if (depth(deepest) > 0) return deepest.flatMap((inner) => describe({ ...inner, path: [...issue.path, ...inner.path] }));
      const wanted = issue.errors.flatMap((errors) => errors.map((inner) => (inner.code === "invalid_type" ? article(inner.expected) : inner.code === "invalid_value" ? inner.values.map((v) => JSON.stringify(v)).join(", ") : describe({ ...inner, path: [] })[0]?.message ?? "")));
      return [problem(path, `expected ${[...new Set(wanted)].join(" or ")}`)];
    }
    case "invalid_format":
      return [problem(path, "may have letters, digits, - and _, and starts with a letter or digit")];
    default:
      return [problem(path, issue.message)];
  }
}

const depth = (errors: readonly z.core.$ZodIssue[]): number => Math.max(0, ...errors.map(({ path }) => path.length));

function article(kind: string): string {
  if (kind === "null") return "nothing";
  if (kind === "int") return "a whole number";
  if (kind === "array") return "a list";
  if (kind === "boolean") return "true or false";
  return `${/^[aeiou]/.test(kind) ? "an" : "a"} ${kind === "string" ? "text" : kind}`;
}

/** What the trainer would refuse once it has read the teacher's shape. */
function misfits(config: RunConfig, teacher: Teacher): Broken[] {
  const found: Broken[] = [];
  const count = teacher.num_hidden_layers;
  const beyond = config.layers.find((layer) => layer >= count);
  if (config.method !== "pretrain" && beyond !== undefined) found.push({ path: "layers", message: `there is no layer ${beyond}, the teacher has ${count}` });
  const from = config.draft?.from_layers;
  if (config.method === "draft" && from) {
    if (from.length !== config.draft?.layers) found.push({ path: "draft.from_layers", message: `names ${from.length} layers for a draft of ${config.draft?.layers}` });
    const outside = from.find((layer) => layer >= count);
    if (outside !== undefined) found.push({ path: "draft.from_layers", message: `there is no layer ${outside}, the teacher has ${count}` });
  }
  const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: size } = teacher;
  const usesMamba = config.method === "draft" ? config.draft?.mixer === "mamba2" : config.method !== "pretrain";
  if (usesMamba && heads !== undefined && groups !== undefined && size !== undefined) {
    const defaults = { form: "ssd", num_heads: heads, num_kv_heads: groups, head_dim: size, state_size: size, conv_kernel: 4, conv_activation: "silu", gate: true, norm: "rms", norm_groups: 1, norm_eps: 1e-5 };
    const parsed = mamba2ConfigSchema.safeParse({ ...defaults, ...config.mixer.options });
    if (!parsed.success) found.push(...parsed.error.issues.flatMap((issue) => describe({ ...issue, path: ["mixer", "options", ...issue.path] })));
  }
  return found;
}

type CheckedStage = { readonly name: string; readonly config: RunConfig | null };

function betweenStages(stages: readonly CheckedStage[]): ConfigProblem[] {
  const first = stages[0]?.config?.mixer.options;
  const other = stages.find(({ config }) => config && first && !sameJson(config.mixer.options, first));
  const alone = stages.find(({ config }) => config?.method === "pretrain" || config?.method === "draft");
  return [
    ...(other ? [problem("mixer.options", `stage ${other.name}: all stages must have the same`)] : []),
    ...(alone ? [problem("method", `stage ${alone.name}: ${alone.config?.method} is a run of its own`)] : []),
  ];
}

/** A stage's problem at the place in the pipeline's document that the field comes from: the stage if it has the field, else the shared part. */
function placed(document: ConfigDocument, index: number, name: string, one: ConfigProblem): ConfigProblem {
  const own = Array.isArray(document.stages) && !Object.hasOwn(document, "stepwise") ? ["stages", index, ...parsePath(one.path)] : null;
  if (own && one.path !== "" && valueAt(document, own) !== undefined) return { ...one, path: pathText(own), message: `stage ${name}: ${one.message}` };
  return valueAt(document, parsePath(one.path)) === undefined ? { ...one, message: `stage ${name}: ${one.message}` } : one;
}

function withoutRepeats(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ path, message }) => {
    const key = `${path}: ${message.replace(/^stage [^:]*: /, "")}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
