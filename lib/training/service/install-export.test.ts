import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { hybridConfigOf, type Manifest, parseManifest, resolveTensors } from "@/lib/weights/manifest";
import { installExport, readManifest, renewManifests, uninstallExport, type BundlePlaces } from "./install-export";

const shippedFamily = path.resolve("public/models/stories");
let folder = "";
let places: BundlePlaces;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mambascope-install-"));
  places = { models: path.join(folder, "models"), shipped: path.join(folder, "shipped") };
  await mkdir(path.join(places.shipped, "stories"), { recursive: true });
  await copyFile(path.join(shippedFamily, "manifest.json"), path.join(places.shipped, "stories", "manifest.json"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What a run's export is: the family's manifest with one set more, and that set's files. */
async function exported(name: string, change: (manifest: Manifest) => Manifest = (manifest) => manifest): Promise<string> {
  const manifest = parseManifest(JSON.parse(await readFile(path.join(shippedFamily, "manifest.json"), "utf8")));
  const text = JSON.stringify(manifest.mixer_sets.attn50).replaceAll("mixers-attn50", `mixers-${name}`);
  const set: Manifest["mixer_sets"][string] = JSON.parse(text);
  const out = path.join(folder, "run", name, "export");
  await mkdir(out, { recursive: true });
  const files = { ...manifest.files };
  for (const file of new Set(Object.values(manifest.mixer_sets.attn50!.tensors).map((tensor) => tensor.file))) {
    const own = file.replace("mixers-attn50", `mixers-${name}`);
    await copyFile(path.join(shippedFamily, file), path.join(out, own));
    files[own] = manifest.files[file]!;
  }
  const layers = manifest.variants.attn50!.layers.map((layer) => layer.replace("attn50", name));
  const made = { ...manifest, files, mixer_sets: { ...manifest.mixer_sets, [name]: set }, variants: { ...manifest.variants, [name]: { title: "Mine", layers } } };
  await writeFile(path.join(out, "manifest.json"), JSON.stringify(parseManifest(change(made))));
  return out;
}

const home = async () => (await readManifest(path.join(places.models, "stories")))!;

it("adds a run's mixers to the home folder's manifest, and leaves what ships alone", async () => {
  const before = await readFile(path.join(places.shipped, "stories", "manifest.json"), "utf8");
  expect(await installExport(await exported("one"), "one", places)).toEqual({ family: "stories", variant: "one", draft: false });
  await installExport(await exported("two"), "two", places);
  const manifest = await home();
  expect(Object.keys(manifest.variants)).toEqual([...Object.keys(parseManifest(JSON.parse(before)).variants), "one", "two"]);
  const files = await readdir(path.join(places.models, "stories"));
  for (const name of ["one", "two"]) {
    const own = resolveTensors(manifest, hybridConfigOf(manifest, name)).filter(({ entry }) => entry.file.startsWith(`mixers-${name}`));
    expect(own.length).toBeGreaterThan(0);
    for (const { entry } of own) expect(files).toContain(entry.file);
  }
  expect(await readFile(path.join(places.shipped, "stories", "manifest.json"), "utf8")).toBe(before);
});

it("takes over what a newer version of the project ships, and keeps what was trained here", async () => {
  await installExport(await exported("one"), "one", places);
  const file = path.join(places.shipped, "stories", "manifest.json");
  const shipped = parseManifest(JSON.parse(await readFile(file, "utf8")));
  await writeFile(file, JSON.stringify({ ...shipped, title: "Stories, renewed" }));
  await renewManifests(places);
  const manifest = await home();
  expect(manifest.title).toBe("Stories, renewed");
  expect(manifest.variants.one).toBeDefined();
});

it("leaves a family alone that was imported under a shipped one's name", async () => {
  const own = path.join(places.models, "stories");
  await cp(shippedFamily, own, { recursive: true });
  const manifest = parseManifest(JSON.parse(await readFile(path.join(own, "manifest.json"), "utf8")));
  const file = Object.values(manifest.base.tensors)[0]!.file;
  const imported = { ...manifest, title: "Mine", files: { ...manifest.files, [file]: { ...manifest.files[file]!, sha256: "2".repeat(64) } } };
  await writeFile(path.join(own, "manifest.json"), JSON.stringify(imported));
  await renewManifests(places);
  expect((await home()).title).toBe("Mine");
});

it("takes a run's mixers out again", async () => {
  await installExport(await exported("one"), "one", places);
  await installExport(await exported("two"), "two", places);
  expect(await uninstallExport("stories", "one", places)).toBe(true);
  expect(await uninstallExport("stories", "attn50", places)).toBe(false);
  const manifest = await home();
  expect(manifest.variants.one).toBeUndefined();
  expect(manifest.variants.two).toBeDefined();
  expect((await readdir(path.join(places.models, "stories"))).filter((name) => name.startsWith("mixers-one"))).toEqual([]);
});

it("refuses mixers of another base, and files that are not whole", async () => {
  const other = await exported("one", (manifest) => {
    const file = Object.values(manifest.base.tensors)[0]!.file;
    return { ...manifest, files: { ...manifest.files, [file]: { ...manifest.files[file]!, sha256: "0".repeat(64) } } };
  });
  await installExport(await exported("two"), "two", places);
  await expect(installExport(other, "one", places)).rejects.toMatchObject({ code: "base-differs" });
  const torn = await exported("three");
  const [shard] = (await readdir(torn)).filter((name) => name.startsWith("mixers-"));
  await writeFile(path.join(torn, shard!), "short");
  await expect(installExport(torn, "three", places)).rejects.toMatchObject({ code: "export-incomplete" });
  expect((await home()).variants.three).toBeUndefined();
});

it("two servers that install at once lose nothing", async () => {
  const names = ["a", "b", "c", "d"];
  const folders = await Promise.all(names.map((name) => exported(name)));
  await Promise.all(names.map((name, i) => installExport(folders[i]!, name, places)));
  expect(Object.keys((await home()).variants)).toEqual(expect.arrayContaining(names));
});

it("a family of its own becomes one of the home folder's, and never takes another's place", async () => {
  const own = path.join(folder, "own");
  await cp(shippedFamily, own, { recursive: true });
  const manifest = parseManifest(JSON.parse(await readFile(path.join(own, "manifest.json"), "utf8")));
  await writeFile(path.join(own, "manifest.json"), JSON.stringify({ ...manifest, family: "mine" }));
  expect(await installExport(own, "run-x", places)).toMatchObject({ family: "mine", variant: "teacher" });
  const file = Object.keys(manifest.files)[0]!;
  await writeFile(path.join(own, "manifest.json"), JSON.stringify({ ...manifest, files: { ...manifest.files, [file]: { ...manifest.files[file]!, sha256: "1".repeat(64) } } }));
  await expect(installExport(own, "run-x", places)).rejects.toMatchObject({ code: "family-exists" });
});
