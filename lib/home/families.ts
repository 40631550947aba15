/** Lists the families in the home folder and in what ships, with the state of each file on disk. */
import { readFile, readdir } from "node:fs/promises";
import { z } from "zod";
import { draftOf, needsFeatures } from "@/lib/hybrid/config";
import { allFilesOf, filesOf, hybridConfigOf, ManifestError, parseManifest, type Manifest } from "@/lib/weights/manifest";
import { findInRoots } from "./bundle-file";
import type { BundleList, ListedFamily, ListedFile, Problem } from "./listing";
import { locateManifest } from "./manifest-files";
import { bundleRoots, isFamilyName } from "./paths";

/** All families, by name. A family whose manifest cannot be read is listed with its problem. */
export async function listFamilies(): Promise<BundleList> {
  const names = new Set<string>();
  for (const root of bundleRoots()) {
    const entries = await readdir(/* turbopackIgnore: true */ root.folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (isFamilyName(entry.name) && (entry.isDirectory() || entry.isSymbolicLink())) names.add(entry.name);
  }
  const families = await Promise.all([...names].sort().map(describeFamily));
  return { families: families.filter((family) => family !== null) };
}

/** One family, or null if no root has a manifest for it. */
export async function describeFamily(name: string): Promise<ListedFamily | null> {
  try {
    const located = await locateManifest(name);
    return located && (await describeManifest(parseManifest(located.json)));
  } catch (error) {
    return unusable(name, problemOf(error));
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof ManifestError) return { message: error.message, action: error.action };
  if (error instanceof SyntaxError) return { message: `The manifest is not JSON: ${error.message}.`, action: "Fetch or export the bundle again." };
  return { message: `The manifest cannot be read: ${String(error)}.`, action: "Check the permissions of the bundle's folder." };
}

function unusable(family: string, problem: Problem): ListedFamily {
  return {
    family,
    title: family,
    description: "",
    license: "",
    source: "",
    origin: "unknown",
    fetchable: false,
    chat: null,
    shape: null,
    files: [],
    variants: [],
    problem,
  };
}

async function describeManifest(manifest: Manifest): Promise<ListedFamily> {
  const files = await Promise.all(Object.entries(allFilesOf(manifest)).map(([name, promised]) => describeFile(manifest, name, promised)));
  const usable = new Set(files.filter(({ state }) => state === "present").map(({ name }) => name));
  const tokenizer = [manifest.tokenizer.file, manifest.tokenizer.config];
  const { origin } = manifest.base;
  return {
    family: manifest.family,
    title: manifest.title,
    description: manifest.description,
    license: manifest.license,
    source: manifest.source,
    origin: origin.kind,
    fetchable: origin.kind === "gguf-package" && files.some(({ use, state }) => use !== "mixers" && state !== "present"),
    chat: usable.has(manifest.tokenizer.config) ? await hasChatTemplate(manifest) : null,
    shape: {
      layers: manifest.architecture.num_hidden_layers,
      width: manifest.architecture.hidden_size,
      heads: manifest.architecture.num_attention_heads,
      keyValueHeads: manifest.architecture.num_key_value_heads,
      vocabulary: manifest.architecture.vocab_size,
      context: manifest.architecture.max_position_embeddings,
    },
    files,
    variants: Object.entries(manifest.variants).map(([name, variant]) => {
      const draft = draftOf(variant.layers, manifest.mixer_sets);
      const target = draft && manifest.mixer_sets[draft.set]?.training?.target;
      const needed = filesOf(manifest, hybridConfigOf(manifest, name)).map((file) => file.name);
      return {
        name,
        title: variant.title,
        layers: [...variant.layers],
        draft: draft !== null,
        features: needsFeatures(variant, manifest.mixer_sets),
        target: typeof target === "string" ? target : null,
        files: needed,
        ready: [...needed, ...tokenizer].every((file) => usable.has(file)),
      };
    }),
    problem: null,
  };
}

async function describeFile(manifest: Manifest, name: string, promised: { readonly bytes: number; readonly sha256: string }): Promise<ListedFile> {
  const found = await findInRoots(manifest.family, name);
  return {
    name,
    bytes: promised.bytes,
    sha256: promised.sha256,
    use: roleOf(manifest, name),
    state: !found ? "missing" : found.bytes === promised.bytes ? "present" : "wrong-size",
    place: found?.root.kind ?? null,
  };
}

function roleOf(manifest: Manifest, name: string): ListedFile["use"] {
  if (name === manifest.tokenizer.file || name === manifest.tokenizer.config) return "tokenizer";
  if (Object.values(manifest.base.tensors).some(({ file }) => file === name)) return "base";
  const sets = Object.values(manifest.mixer_sets);
  return sets.some((set) => Object.values(set.tensors).some(({ file }) => file === name)) ? "mixers" : "other";
}

const tokenizerConfigSchema = z.looseObject({ chat_template: z.string().optional() });

async function hasChatTemplate(manifest: Manifest): Promise<boolean | null> {
  const found = await findInRoots(manifest.family, manifest.tokenizer.config);
  if (!found) return null;
  try {
    const text = await readFile(/* turbopackIgnore: true */ found.path, "utf8");
    return tokenizerConfigSchema.parse(JSON.parse(text)).chat_template !== undefined;
  } catch {
    // The runtime reads this file too, and says what is wrong with it.
    return null;
  }
}
