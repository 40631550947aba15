/** What a node needs of the project to train: the trainer's package, its recipes and its requirements. */
import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";

export type SentFile = { name: string; size: number; sha256: string };
export type TrainerCopy = { hash: string; files: SentFile[]; contents: Buffer[] };

const kept = /\.(py|json|md|txt|toml|typed)$/;

/** The trainer's files with the hash of them all: a change of any makes another copy on the node, and runs keep theirs. */
export async function packTrainer(project: string): Promise<TrainerCopy> {
  const base = path.join(/* turbopackIgnore: true */ project, "trainer");
  const names = [
    ...(await filesUnder(base, "mambascope_trainer")),
    ...(await filesUnder(base, "recipes")),
    ...(await readdir(/* turbopackIgnore: true */ base)).filter((name) => /^requirements.*\.txt$/.test(name)),
  ].sort();
  const contents = await Promise.all(names.map((name) => readFile(path.join(/* turbopackIgnore: true */ base, name))));
  const files = names.map((name, index) => describe(name, contents[index] as Buffer));
  const hash = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
  return { hash, files, contents };
}

function describe(name: string, content: Buffer): SentFile {
  return { name, size: content.byteLength, sha256: createHash("sha256").update(content).digest("hex") };
}

async function filesUnder(base: string, folder: string): Promise<string[]> {
  const entries = await readdir(path.join(/* turbopackIgnore: true */ base, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const name = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return entry.name.startsWith("__pycache__") || entry.name.startsWith(".") ? [] : filesUnder(base, name);
      return kept.test(entry.name) ? [name] : [];
    }),
  );
  return found.flat();
}

/** A requirement file's text with those that it includes (`-r`) in their places: one file that a node can install from. */
export async function requirementText(project: string, name: string): Promise<string> {
  const text = await readFile(path.join(/* turbopackIgnore: true */ project, "trainer", name), "utf8");
  const lines = await Promise.all(
    text.split("\n").map(async (line) => {
      const included = /^-r\s+(\S+)$/.exec(line.trim())?.[1];
      return included ? requirementText(project, included) : line;
    }),
  );
  return lines.filter((line) => line.trim() !== "" && !line.startsWith("#")).join("\n");
}
