import { architectureOf, draftOf, type HybridConfig, HybridConfigError, parseLayerSpec } from "@/lib/hybrid/config";
import { requiredTensors } from "@/lib/hybrid/tensors";
import { codecBytes, partLayouts } from "./codec-size";
import { ManifestError, WeightError } from "./errors";
import { checkManifest } from "./manifest-check";
import { BUNDLE_FORMAT, BUNDLE_VERSION, type FileEntry, type Manifest, manifestSchema, type TensorEntry } from "./manifest-schema";

export * from "./manifest-schema";
export { ManifestError, WeightError, type WeightErrorCode } from "./errors";

const PROBLEMS_SHOWN = 5;

/**
 * Validates a manifest: format and version first, then the schema, then what holds between its parts.
 * Throws {@link ManifestError}, whose `problems` lists every fault found.
 */
export function parseManifest(json: unknown): Manifest {
  checkVersion(json);
  const parsed = manifestSchema.safeParse(json);
  const problems = parsed.success
    ? checkManifest(parsed.data)
    : parsed.error.issues.map((issue) => `${issue.path.join(".") || "manifest"}: ${issue.message}`);
  if (parsed.success && problems.length === 0) return parsed.data;
  const more = problems.length > PROBLEMS_SHOWN ? ` (and ${problems.length - PROBLEMS_SHOWN} more)` : "";
  throw new ManifestError(
    "manifest-invalid",
    `The bundle's manifest is not valid: ${problems.slice(0, PROBLEMS_SHOWN).join("; ")}${more}.`,
    "Export or fetch the bundle again.",
    problems,
  );
}

function checkVersion(json: unknown): void {
  const header = typeof json === "object" && json !== null ? (json as { format?: unknown; version?: unknown }) : {};
  if (header.format !== BUNDLE_FORMAT) {
    throw new ManifestError(
      "manifest-invalid",
      `This is not a bundle manifest: "format" is ${JSON.stringify(header.format) ?? "missing"}, not "${BUNDLE_FORMAT}".`,
      "Check the bundle's address, or export the bundle again.",
    );
  }
  const { version } = header;
  if (version === BUNDLE_VERSION) return;
  const newer = typeof version === "number" && version > BUNDLE_VERSION;
  throw new ManifestError(
    "manifest-version",
    `The bundle has format version ${JSON.stringify(version) ?? "(none)"}; this app reads version ${BUNDLE_VERSION}.`,
    newer ? "Update the app, or fetch a bundle of the older version." : "Export or fetch the bundle again with this version of the project.",
  );
}

/** The hybrid config of one of the manifest's variants. Throws WeightError `variant-unknown`. */
export function hybridConfigOf(manifest: Manifest, variant: string): HybridConfig {
  const found = Object.hasOwn(manifest.variants, variant) ? manifest.variants[variant] : undefined;
  if (!found) {
    throw new WeightError(
      "variant-unknown",
      `Family "${manifest.family}" has no variant "${variant}".`,
      `Choose one of: ${Object.keys(manifest.variants).join(", ")}.`,
    );
  }
  return configOf(manifest, found.layers);
}

/** Layers of the bundle's, with the architecture of the model that they make (a draft has its own). Not checked. */
function configOf(manifest: Manifest, layers: readonly string[]): HybridConfig {
  return { family: manifest.family, architecture: architectureOf(manifest.architecture, layers, manifest.mixer_sets), layers: [...layers] };
}

/**
 * A hybrid config of the visitor's own layers, checked against the bundle: one spec a layer, each set known and holding
 * that layer. Throws HybridConfigError.
 */
export function customConfig(manifest: Manifest, layers: readonly string[]): HybridConfig {
  const config = configOf(manifest, layers);
  const expected = config.architecture.num_hidden_layers;
  if (layers.length !== expected && !draftOf(layers, manifest.mixer_sets)) {
    throw new HybridConfigError(`${layers.length} layers given; "${manifest.family}" has ${expected}.`);
  }
  requiredTensors(config, manifest.mixer_sets);
  layers.forEach((text, layer) => {
    const spec = parseLayerSpec(text);
    if (spec.set === null) return;
    const held = manifest.mixer_sets[spec.set]?.layers ?? [];
    if (!held.includes(layer)) {
      throw new HybridConfigError(
        `Mixer set "${spec.set}" has no mixer for layer ${layer} (it has layers ${held.join(", ")}).`,
        "Choose another set for this layer, or keep its attention.",
      );
    }
  });
  return config;
}

/**
 * The index entry of a tensor in a hybrid: the layer's mixer set first (for a draft, the draft whatever the layer), then the
 * base. Undefined if neither has it.
 */
export function findTensor(manifest: Manifest, config: HybridConfig, name: string): TensorEntry | undefined {
  const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
  const text = layer === undefined ? undefined : config.layers[Number(layer)];
  const set = text === undefined ? draftOf(config.layers, manifest.mixer_sets)?.set : parseLayerSpec(text).set;
  const own = typeof set === "string" ? manifest.mixer_sets[set]?.tensors : undefined;
  if (own && Object.hasOwn(own, name)) return own[name];
  return Object.hasOwn(manifest.base.tensors, name) ? manifest.base.tensors[name] : undefined;
}

/** As {@link findTensor}, but throws WeightError `tensor-unknown` if the bundle does not have the tensor. */
export function resolveTensor(manifest: Manifest, config: HybridConfig, name: string): TensorEntry {
  const entry = findTensor(manifest, config, name);
  if (!entry) {
    throw new WeightError(
      "tensor-unknown",
      `The bundle of "${manifest.family}" has no tensor "${name}" for this hybrid.`,
      "Export or fetch the bundle again.",
    );
  }
  return entry;
}

/** A tensor that a hybrid needs, and where it lies. */
export interface ResolvedTensor {
  readonly name: string;
  readonly layer: number | null;
  readonly entry: TensorEntry;
}

/** Every tensor that a hybrid needs, in the order of the forward pass, with its index entry. */
export function resolveTensors(manifest: Manifest, config: HybridConfig): ResolvedTensor[] {
  return requiredTensors(config, manifest.mixer_sets).map(({ name, layer }) => ({
    name,
    layer,
    entry: resolveTensor(manifest, config, name),
  }));
}

/** A file of a bundle. `bytes` and `sha256` are what the manifest promises. */
export interface BundleFile extends FileEntry {
  readonly name: string;
}

/** A file of the bundle by name. Throws WeightError `file-missing` if the manifest does not list it. */
export function fileOf(manifest: Manifest, name: string): BundleFile {
  const files = allFilesOf(manifest);
  const entry = Object.hasOwn(files, name) ? files[name] : undefined;
  if (!entry) {
    throw new WeightError("file-missing", `The manifest of "${manifest.family}" lists no file "${name}".`, "Export or fetch the bundle again.");
  }
  return { name, ...entry };
}

/** Every file of the bundle by name, the token ranking included. */
export function allFilesOf({ files, token_ranking: ranking }: Manifest): Readonly<Record<string, FileEntry>> {
  if (!ranking) return files;
  const { file, bytes, sha256 } = ranking;
  return { ...files, [file]: { bytes, sha256 } };
}

/** The weight files that a hybrid needs, and no others, in the order of first use. */
export function filesOf(manifest: Manifest, config: HybridConfig): BundleFile[] {
  const names = new Set(resolveTensors(manifest, config).map(({ entry }) => entry.file));
  return [...names].map((name) => fileOf(manifest, name));
}

/** The tokenizer's files: `tokenizer.json` and its config (which holds the chat template). */
export function tokenizerFiles(manifest: Manifest): { tokenizer: BundleFile; config: BundleFile } {
  return { tokenizer: fileOf(manifest, manifest.tokenizer.file), config: fileOf(manifest, manifest.tokenizer.config) };
}

/** Bytes of a stored tensor, all parts together. */
export function tensorBytes(entry: TensorEntry): number {
  return codecBytes(entry.codec, entry.shape);
}

/** The stored parts of a tensor with their byte ranges in `entry.file`, in the codec's order. */
export function tensorParts(entry: TensorEntry): { part: "data" | "q" | "scale" | "min"; suffix: string; dtype: "F32" | "F16" | "U8"; shape: readonly number[]; range: readonly [number, number] }[] {
  const ranges = entry.parts as Partial<Record<string, readonly [number, number]>>;
  return partLayouts(entry.codec, entry.shape).map(({ part, suffix, dtype, shape }) => {
    const range = ranges[part];
    if (!range) throw new WeightError("tensor-unknown", `A ${entry.codec} tensor lacks its "${part}" part.`, "Export the bundle again.");
    return { part, suffix, dtype, shape, range };
  });
}
