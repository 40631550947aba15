/** Writing `results/<name>.json`, and what is said of the machine. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import path from "node:path";
import { type ResultEntry, resultsSchema } from "@/lib/home/results";
import { say } from "../lib/console.mjs";
import { root } from "../lib/paths.mjs";
import { run } from "../lib/run.mjs";

export type { ResultEntry };

/** What a result is made from: changes here that are not committed are told beside the commit. */
const sources = ["lib", "workers", "public/models", "scripts/bench", "trainer/mambascope_trainer"];

/** Adds an entry and prints it. */
export class Collected {
  readonly entries: ResultEntry[] = [];

  add(entry: ResultEntry): void {
    this.entries.push(entry);
    const of = Object.entries(entry.of).map(([key, value]) => `${key}=${value}`).join(" ");
    const peer = entry.peer ? `  (${entry.peer.name}: ${rounded(entry.peer.value)})` : "";
    say(`${entry.metric} ${rounded(entry.value)} ${entry.unit}${peer}${entry.ratio === undefined ? "" : `  ratio ${rounded(entry.ratio)}`}  ${of}`);
  }
}

/** Writes the file if it is valid; throws a ZodError if not. `browser`: its version; null where none was used. */
export async function writeResults(name: string, command: string, browser: string | null, entries: readonly ResultEntry[]): Promise<string> {
  const file = path.join(root, "results", `${name}.json`);
  const [commit, changes] = await Promise.all([
    run("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root }),
    run("git", ["status", "--porcelain", "--", ...sources], { cwd: root }),
  ]);
  const results = resultsSchema.parse({
    command,
    machine: { cpu: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, memory_gib: Math.round(totalmem() / 2 ** 30), system: `${process.platform} ${process.arch}`, ...(browser === null ? {} : { browser }), node: process.version },
    date: new Date().toISOString(),
    commit: `${commit.stdout.trim()}${changes.stdout.trim() ? " with changes" : ""}`,
    entries: entries.map((entry) => ({ ...entry, value: rounded(entry.value), ...(entry.ratio === undefined ? {} : { ratio: rounded(entry.ratio) }) })),
  });
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.part`, `${JSON.stringify(results, null, 2)}\n`);
  await rename(`${file}.part`, file);
  return file;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle) - 1] ?? Number.NaN)) / 2;
}

const rounded = (value: number): number => (Number.isInteger(value) ? value : Number(value.toPrecision(6)));

/**
 * The load average over a minute, after waiting for it to fall under 1.5 (at most `patience` seconds): part of it is the
 * benchmark's own work before.
 */
export async function quietLoad(patience = 60): Promise<number> {
  const deadline = Date.now() + 1000 * patience;
  while ((loadavg()[0] ?? 0) > 1.5 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2000));
  return Math.round(100 * (loadavg()[0] ?? 0)) / 100;
}
