import { architectureOf, draftArchitecture, draftOf, type DraftShape, HybridConfigError, parseLayerSpec } from "@/lib/hybrid/config";
import { isOfDraft, requiredTensors, mamba2Tensors } from "@/lib/hybrid/tensors";
import { partLayouts } from "./codec-size";
import type { Manifest, MixerSet, TensorEntry } from "./manifest-schema";

/** What is wrong with a manifest that fits the schema: one line a fault, by its place; empty if nothing is. */
export function checkManifest(manifest: Manifest): string[] {
  const problems: string[] = [];
  checkIndex(manifest, "base.tensors", manifest.base.tensors, problems);
  for (const [name, set] of Object.entries(manifest.mixer_sets)) checkSet(manifest, name, set, problems);
  for (const name of Object.keys(manifest.variants)) checkVariant(manifest, name, problems);
  for (const key of ["file", "config"] as const) {
    const file = manifest.tokenizer[key];
    if (!Object.hasOwn(manifest.files, file)) problems.push(`tokenizer.${key}: "${file}" is not listed in files`);
  }
  checkRanking(manifest, problems);
  // Variants share base tensors, so one fault can be met more than once.
  return [...new Set(problems)];
}

function checkRanking({ token_ranking: ranking, architecture, files }: Manifest, problems: string[]): void {
  if (!ranking) return;
  const { file, bytes, sha256, count } = ranking;
  if (bytes !== 4 * count) problems.push(`token_ranking.bytes: ${bytes} bytes where ${count} tokens take ${4 * count}`);
  if (count > architecture.vocab_size) problems.push(`token_ranking.count: ${count} tokens of a vocabulary of ${architecture.vocab_size}`);
  const listed = Object.hasOwn(files, file) ? files[file] : undefined;
  if (listed && (listed.bytes !== bytes || listed.sha256 !== sha256)) problems.push(`token_ranking.file: "${file}" is listed in files with another size or checksum`);
}

type Index = Readonly<Record<string, TensorEntry>>;

function checkIndex(manifest: Manifest, place: string, index: Index, problems: string[]): void {
  for (const [name, entry] of Object.entries(index)) {
    for (const problem of entryProblems(manifest, entry)) problems.push(`${place}.${name}: ${problem}`);
  }
}

function entryProblems(manifest: Manifest, entry: TensorEntry): string[] {
  const file = Object.hasOwn(manifest.files, entry.file) ? manifest.files[entry.file] : undefined;
  if (!file) return [`file "${entry.file}" is not listed in files`];
  let layouts;
  try {
    layouts = partLayouts(entry.codec, entry.shape);
  } catch (error) {
    if (error instanceof RangeError) return [error.message];
    throw error;
  }
  const ranges = entry.parts as Readonly<Partial<Record<string, readonly [number, number]>>>;
  return layouts.flatMap(({ part, bytes }) => {
    const [begin, end] = ranges[part] ?? [0, 0];
    if (end > file.bytes) return [`part ${part} ends at byte ${end}, beyond "${entry.file}" (${file.bytes} bytes)`];
    if (end - begin !== bytes) return [`part ${part} has ${end - begin} bytes; ${entry.codec} [${entry.shape.join(", ")}] takes ${bytes}`];
    return [];
  });
}

function checkSet(manifest: Manifest, name: string, set: MixerSet, problems: string[]): void {
  const place = `mixer_sets.${name}`;
  const layers = manifest.architecture.num_hidden_layers;
  const held = new Set(set.layers);
  if (held.size !== set.layers.length) problems.push(`${place}.layers: a layer is listed twice`);
  checkIndex(manifest, `${place}.tensors`, set.tensors, problems);
  if (set.draft) checkDraft(manifest, name, set, set.draft, problems);
  if (set.draft || set.mixer === "attention") return;
  for (const layer of held) {
    if (layer >= layers) {
      problems.push(`${place}.layers: layer ${layer} of a model of ${layers}`);
      continue;
    }
    for (const { name: tensor, shape } of mamba2Tensors(set.config, manifest.architecture.hidden_size, layer)) {
      checkPresent(`${place}.tensors`, set.tensors, tensor, shape, problems);
    }
  }
  for (const tensor of Object.keys(set.tensors)) {
    const layer = /^model\.layers\.(\d+)\./.exec(tensor)?.[1];
    if (layer === undefined || !held.has(Number(layer))) {
      problems.push(`${place}.tensors.${tensor}: would never be used, as it belongs to none of the set's layers`);
    }
  }
}

/** A draft holds all of its model but the embedding and the LM head, and nothing else. */
function checkDraft(manifest: Manifest, name: string, set: MixerSet, shape: DraftShape, problems: string[]): void {
  const place = `mixer_sets.${name}`;
  const count = shape.num_hidden_layers;
  if (set.layers.length !== count || set.layers.some((layer) => layer >= count)) {
    problems.push(`${place}.layers: a draft of ${count} layers has the layers 0 to ${count - 1}`);
  }
  const layers = Array.from({ length: count }, () => `${set.mixer}:${name}`);
  const config = { family: manifest.family, architecture: draftArchitecture(manifest.architecture, shape), layers };
  const own = requiredTensors(config, { [name]: set }).filter(isOfDraft);
  for (const { name: tensor, shape: size } of own) checkPresent(`${place}.tensors`, set.tensors, tensor, size, problems);
  const known = new Set(own.map(({ name: tensor }) => tensor));
  for (const tensor of Object.keys(set.tensors)) {
    if (!known.has(tensor)) problems.push(`${place}.tensors.${tensor}: would never be used, as the draft has no such tensor`);
  }
}

function checkPresent(place: string, index: Index, name: string, shape: readonly number[], problems: string[]): void {
  const entry = Object.hasOwn(index, name) ? index[name] : undefined;
  if (!entry) problems.push(`${place}: "${name}" is missing`);
  else if (entry.shape.join() !== shape.join()) {
    problems.push(`${place}.${name}: shape [${entry.shape.join(", ")}] where [${shape.join(", ")}] is needed`);
  }
}

function checkVariant(manifest: Manifest, name: string, problems: string[]): void {
  const place = `variants.${name}.layers`;
  const { layers } = manifest.variants[name] ?? { layers: [] };
  const architecture = architectureOf(manifest.architecture, layers, manifest.mixer_sets);
  const draft = draftOf(layers, manifest.mixer_sets);
  const expected = architecture.num_hidden_layers;
  if (layers.length !== expected) {
    problems.push(`${place}: ${layers.length} layers for a model of ${expected}`);
    return;
  }
  const specs = layers.map(parseLayerSpec);
  specs.forEach((spec, layer) => {
    if (spec.set === null || !Object.hasOwn(manifest.mixer_sets, spec.set)) return;
    if (!manifest.mixer_sets[spec.set]?.layers.includes(layer)) {
      problems.push(`${place}: mixer set "${spec.set}" has no mixer for layer ${layer}`);
    }
  });
  let required;
  try {
    required = requiredTensors({ family: manifest.family, architecture, layers }, manifest.mixer_sets);
  } catch (error) {
    if (!(error instanceof HybridConfigError)) throw error;
    problems.push(`${place}: ${error.message}`);
    return;
  }
  for (const { name: tensor, shape, layer } of required) {
    const spec = layer === null ? undefined : specs[layer];
    const own = typeof spec?.set === "string" ? manifest.mixer_sets[spec.set]?.tensors : undefined;
    // A set's mixers, and all that a draft owns, are checked with the set.
    if (tensor.includes(".mamba.") || (draft && isOfDraft({ name: tensor, layer }))) continue;
    const inSet = own !== undefined && Object.hasOwn(own, tensor);
    checkPresent(inSet ? `mixer_sets.${spec?.set}.tensors` : "base.tensors", inSet ? own : manifest.base.tensors, tensor, shape, problems);
  }
}
