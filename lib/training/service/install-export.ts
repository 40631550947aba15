/**
 * Makes a run's export usable in the pages: its mixers join the family in `<home>/models`, whose manifest is what ships
 * plus what was trained here. What ships is never changed, and what a newer version of the project ships is taken over.
 */
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseLayerSpec } from "@/lib/hybrid/config";
import { allFilesOf, type Manifest, parseManifest } from "@/lib/weights/manifest";
import type { Exported } from "../types";
import { ServiceError } from "./errors";
import { withLock } from "./lock";

export type BundlePlaces = {
  /** `<home>/models` */
  models: string;
  /** The folder of the families that ship. */
  shipped: string;
};

/** Adds the variant `name` of the bundle in `folder` (a run's `export/`) to the home folder. Throws ServiceError. */
export async function installExport(folder: string, name: string, places: BundlePlaces): Promise<Exported> {
  const made = await readManifest(folder);
  if (!made) throw new ServiceError(409, "export-missing", "The run has no exported bundle.", "Export it first.");
  const family = path.join(/* turbopackIgnore: true */ places.models, made.family);
  return withLock(path.join(/* turbopackIgnore: true */ places.models, `.${made.family}.lock`), async () => {
    const set = Object.hasOwn(made.mixer_sets, name) ? made.mixer_sets[name] : undefined;
    const current = await currentManifest(made.family, places);
    if (!set) {
      if (current && Object.keys(made.files).some((file) => current.files[file]?.sha256 !== made.files[file]?.sha256)) {
        throw new ServiceError(409, "family-exists", `There is a family "${made.family}" already, with other weights.`, "Duplicate the run with another family name, then export it.");
      }
      await takeFiles(folder, family, made, Object.keys(allFilesOf(made)));
      await writeManifest(family, made);
      return { family: made.family, variant: Object.keys(made.variants)[0] ?? "teacher", draft: false };
    }
    const target = current ?? made;
    checkSameBase(made, target);
    const files = [...new Set(Object.values(set.tensors).map(({ file }) => file))];
    await takeFiles(folder, family, made, files);
    const variants = Object.fromEntries(Object.entries(made.variants).filter(([variant, { layers }]) => variant === name || layers.some((layer) => parseLayerSpec(layer).set === name)));
    await writeManifest(family, {
      ...target,
      files: { ...target.files, ...Object.fromEntries(files.map((file) => [file, made.files[file] ?? { bytes: 0, sha256: "" }])) },
      mixer_sets: { ...target.mixer_sets, [name]: set },
      variants: { ...target.variants, ...variants },
    });
    return { family: made.family, variant: name, draft: set.draft !== undefined };
  });
}

/** Takes a run's mixers out of the home folder's family again; what ships stays. False if there were none. */
export async function uninstallExport(family: string, name: string, places: BundlePlaces): Promise<boolean> {
  const folder = path.join(/* turbopackIgnore: true */ places.models, family);
  return withLock(path.join(/* turbopackIgnore: true */ places.models, `.${family}.lock`), async () => {
    const [current, shipped] = await Promise.all([currentManifest(family, places), readManifest(path.join(/* turbopackIgnore: true */ places.shipped, family))]);
    const set = current?.mixer_sets[name];
    if (!current || !set || (shipped && Object.hasOwn(shipped.mixer_sets, name))) return false;
    const files = new Set(Object.values(set.tensors).map(({ file }) => file));
    await writeManifest(folder, {
      ...current,
      files: without(current.files, (file) => files.has(file)),
      mixer_sets: without(current.mixer_sets, (key) => key === name),
      variants: without(current.variants, (_, { layers }) => layers.some((layer) => parseLayerSpec(layer).set === name)),
    });
    for (const file of files) await rm(path.join(/* turbopackIgnore: true */ folder, file), { force: true });
    return true;
  });
}

/** Renews the home folder's manifests where the project ships another version of the family than they were made from. */
export async function renewManifests(places: BundlePlaces): Promise<void> {
  const families = await readdir(/* turbopackIgnore: true */ places.shipped).catch(() => []);
  for (const family of families) {
    const folder = path.join(/* turbopackIgnore: true */ places.models, family);
    const home = await readManifest(folder).catch(() => null);
    if (!home) continue;
    await withLock(path.join(/* turbopackIgnore: true */ places.models, `.${family}.lock`), async () => {
      const current = await currentManifest(family, places);
      if (current && JSON.stringify(current) !== JSON.stringify(home)) await writeManifest(folder, current);
    });
  }
}

/** What ships of a family with what the home folder adds to it; what the home folder has alone, if nothing ships; null if neither has it. */
async function currentManifest(family: string, places: BundlePlaces): Promise<Manifest | null> {
  const folder = path.join(/* turbopackIgnore: true */ places.models, family);
  const [home, shipped] = await Promise.all([readManifest(folder), readManifest(path.join(/* turbopackIgnore: true */ places.shipped, family))]);
  if (!home || !shipped) return home ?? shipped;
  if (await isOfItsOwn(home, shipped, folder)) return home;
  let merged = shipped;
  for (const [name, set] of Object.entries(home.mixer_sets)) {
    if (Object.hasOwn(shipped.mixer_sets, name)) continue;
    const files = [...new Set(Object.values(set.tensors).map(({ file }) => file))];
    // An older version's own set, whose files did not stay, is not something that was added here.
    if (!(await Promise.all(files.map((file) => hasSize(path.join(/* turbopackIgnore: true */ folder, file), home.files[file]?.bytes)))).every(Boolean)) continue;
    merged = {
      ...merged,
      files: { ...merged.files, ...Object.fromEntries(files.map((file) => [file, home.files[file] ?? { bytes: 0, sha256: "" }])) },
      mixer_sets: { ...merged.mixer_sets, [name]: set },
    };
  }
  const known = (layers: readonly string[]) => layers.map(parseLayerSpec).every(({ set }) => set === null || Object.hasOwn(merged.mixer_sets, set));
  const added = Object.entries(home.variants).filter(([name, { layers }]) => !Object.hasOwn(shipped.variants, name) && known(layers));
  return { ...merged, variants: { ...merged.variants, ...Object.fromEntries(added) } };
}

/** Whether the home folder has another base under the shipped family's name, such as one that was imported, with all of its files. */
async function isOfItsOwn(home: Manifest, shipped: Manifest, folder: string): Promise<boolean> {
  const files = [...new Set(Object.values(home.base.tensors).map(({ file }) => file))];
  if (files.every((file) => home.files[file]?.sha256 === shipped.files[file]?.sha256)) return false;
  const sizes = await Promise.all(files.map((file) => hasSize(path.join(/* turbopackIgnore: true */ folder, file), home.files[file]?.bytes)));
  return sizes.every(Boolean);
}

function checkSameBase(made: Manifest, target: Manifest): void {
  const files = new Set(Object.values(target.base.tensors).map(({ file }) => file));
  const differs = [...files].some((file) => made.files[file] && made.files[file].sha256 !== target.files[file]?.sha256);
  if (!differs) return;
  throw new ServiceError(
    409,
    "base-differs",
    `The run was trained on another version of "${made.family}" than the one here.`,
    "Restart the run with this version, or export it with --format hf.",
  );
}

/** Copies files whose size and place are as the manifest says, each by rename. */
async function takeFiles(from: string, to: string, manifest: Manifest, files: string[]): Promise<void> {
  await mkdir(/* turbopackIgnore: true */ to, { recursive: true });
  for (const file of files) {
    const source = path.join(/* turbopackIgnore: true */ from, file);
    const target = path.join(/* turbopackIgnore: true */ to, file);
    if (!(await hasSize(source, allFilesOf(manifest)[file]?.bytes))) {
      throw new ServiceError(502, "export-incomplete", `The exported file ${file} is missing or incomplete.`, "Export the run again.");
    }
    await copyFile(/* turbopackIgnore: true */ source, `${target}.part`);
    await rename(/* turbopackIgnore: true */ `${target}.part`, target);
  }
}

async function hasSize(file: string, bytes: number | undefined): Promise<boolean> {
  const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
  return info?.isFile() === true && info.size === bytes;
}

const manifests = new Map<string, { stamp: string; manifest: Manifest }>();

/** The manifest in a folder, or null if it has none; parsed once for each content. Throws ManifestError, or SyntaxError. */
export async function readManifest(folder: string): Promise<Manifest | null> {
  const file = path.join(/* turbopackIgnore: true */ folder, "manifest.json");
  const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
  if (!info?.isFile()) return null;
  const stamp = `${info.ino}-${info.size}-${info.mtimeMs}`;
  const known = manifests.get(file);
  if (known?.stamp === stamp) return known.manifest;
  const manifest = parseManifest(JSON.parse(await readFile(/* turbopackIgnore: true */ file, "utf8")));
  manifests.set(file, { stamp, manifest });
  return manifest;
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const checked = parseManifest(manifest);
  await mkdir(/* turbopackIgnore: true */ folder, { recursive: true });
  const part = path.join(/* turbopackIgnore: true */ folder, ".manifest.json.part");
  await writeFile(/* turbopackIgnore: true */ part, JSON.stringify(checked, null, 1));
  await rename(/* turbopackIgnore: true */ part, path.join(/* turbopackIgnore: true */ folder, "manifest.json"));
}

function without<T>(record: Record<string, T>, leave: (key: string, value: T) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key, value]) => !leave(key, value)));
}
