/** The rules between fields of a run config. The same as the trainer's `run/rules.py`; a test holds both against each other. */
import type { RunConfig } from "./run-config";

export type Broken = { readonly path: string; readonly message: string };

/** The rules that a config breaks. It fits the schema, and its defaults are filled in. */
export function brokenRules(c: RunConfig): Broken[] {
  const hybrid = ["orient", "align", "distill", "dpo"].includes(c.method);
  const endToEnd = c.method === "distill" || c.method === "dpo";
  const names = c.mixture.map(({ name }) => name);
  const missing = [...new Set(c.mixture.flatMap(({ layers }) => layers))].filter((layer) => !c.layers.includes(layer)).sort((one, other) => one - other);
  const starts = typeof c.mixer.start_from === "string" ? [c.mixer.start_from] : (c.mixer.start_from ?? []);
  const trained = c.layers_trained;
  const rules: [broken: boolean, path: string, message: string][] = [
    [c.optimiser.batch % c.optimiser.accumulate !== 0, "optimiser.batch", "must be a multiple of optimiser.accumulate"],
    [hybrid && c.layers.length === 0, "layers", "name at least one layer to replace"],
    [c.method === "pretrain" && c.architecture === null, "architecture", "pretrain needs the shape of the new model"],
    [c.method === "draft" && c.draft === null, "draft", "a draft run needs this section"],
    [c.method === "draft" && c.layers.length > 0, "layers", "a draft has none of the teacher's layers; see draft.from_layers"],
    [c.draft !== null && c.draft.features && c.sample_every > 0, "sample_every", "a draft on features writes no text without its target; leave it out"],
    [c.draft !== null && !c.draft.features && c.draft.feature_loss > 0, "draft.feature_loss", "only a draft on features (draft.features) has it"],
    [c.draft !== null && c.draft.start_from !== null && c.draft.from_layers !== null, "draft.start_from", "a draft starts from another or from layers of the teacher's, not from both"],
    [c.draft !== null && c.draft.start_from !== null && c.mixer.start_from !== null, "mixer.start_from", "a draft that starts from another (draft.start_from) takes its mixers too"],
    [c.method === "dpo" && typeof c.data.train !== "string", "data.train", "dpo reads one file of preference pairs"],
    [c.pattern !== "fixed" && c.method !== "distill", "pattern", "only distill has patterns that change"],
    [(c.pattern === "mixture") !== c.mixture.length > 0, "mixture", 'pattern "mixture" needs a list of patterns, and only it has one'],
    [new Set(names).size < names.length, "mixture", "two patterns have the same name"],
    [missing.length > 0, "mixture", `layers [${missing.join(", ")}] are not in layers`],
    [c.train !== "mixers" && !endToEnd, "train", "align and orient train mixers alone"],
    [c.train !== "mixers" && c.pattern !== "fixed", "train", 'norms and MLPs train with pattern "fixed" alone; several patterns share the teacher\'s'],
    [trained !== null && !trained.every((layer) => c.layers.includes(layer)), "layers_trained", "some are not in layers"],
    [trained !== null && trained.length === 0, "layers_trained", "name at least one layer, or leave it out"],
    [trained !== null && (c.train === "all" || !endToEnd), "layers_trained", 'only distill and dpo have it, and not with train "all"'],
    [c.loss.ce_tokens === "answers" && (c.method !== "distill" || c.loss.alpha === 0), "loss.ce_tokens", "only distill with loss.alpha above 0 takes the CE of answers"],
    [starts.slice(0, -1).includes("init"), "mixer.start_from", '"init" comes last'],
    [starts.length === 1 && starts[0] === "init", "mixer.start_from", 'leave it out to initialise all layers, or name a source before "init"'],
  ];
  return rules.filter(([broken]) => broken).map(([, path, message]) => ({ path, message }));
}

/** Lists of layers that name one twice, which the schema cannot say. */
export function repeatedLayers(c: RunConfig): Broken[] {
  const lists: [string, readonly number[] | null][] = [
    ["layers", c.layers],
    ["layers_trained", c.layers_trained],
    ...c.mixture.map(({ layers }, index): [string, readonly number[]] => [`mixture.${index}.layers`, layers]),
  ];
  return lists.filter(([, layers]) => layers !== null && new Set(layers).size < layers.length).map(([path]) => ({ path, message: "a layer is named twice" }));
}
