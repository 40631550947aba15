/** Writing `results/<name>.json`, and what is said of the machine. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import path from "node:path";
import { type ResultEntry, type Results, resultsSchema } from "@/lib/home/results";
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

/** Where entries come from, for those that are merged into a file of others: see `mergeResults`. `gpu`: its name, if one was used. */
export async function origin(command: string, gpu?: string): Promise<Required<Pick<ResultEntry, "command" | "machine" | "date" | "commit">>> {
  const { cpu, cores, memory_gib, system, node } = machine();
  const name = [cpu, `${cores} cores`, `${memory_gib} GiB`, ...(gpu ? [gpu] : []), system, `node ${node}`].join(", ");
  return { command, machine: name, date: new Date().toISOString(), commit: await commitOf() };
}

/** Writes the file if it is valid; throws a ZodError if not. Entries merged into it before stay. `browser`: its version; null where none was used. */
export async function writeResults(name: string, command: string, browser: string | null, entries: readonly ResultEntry[]): Promise<string> {
  const before = await existing(name);
  const merged = before?.entries.filter((entry) => entry.command !== undefined && entry.command !== command) ?? [];
  const head = { command, machine: { ...machine(), ...(browser === null ? {} : { browser }) }, date: new Date().toISOString(), commit: await commitOf() };
  return write(name, { ...head, entries: [...entries, ...without(merged, entries)] });
}

/** Puts entries that say themselves where they come from into a file, in place of those of the same metric and names. */
export async function mergeResults(name: string, entries: readonly ResultEntry[]): Promise<string> {
  const before = await existing(name);
  const [first] = entries;
  if (!before && !first) throw new Error("There is nothing to write.");
  const head = before ?? { command: first?.command ?? "", machine: first?.machine ?? "", date: first?.date ?? "", commit: first?.commit ?? "", entries: [] };
  return write(name, { ...head, entries: [...without(head.entries, entries), ...entries] });
}

/** Entries of a benchmark that may run on another machine: into the file that MAMBASCOPE_BENCH_OUT names, for `merge`, or else merged here. */
export async function deliver(name: string, entries: readonly ResultEntry[]): Promise<void> {
  const out = process.env.MAMBASCOPE_BENCH_OUT;
  if (out) await writeFile(out, JSON.stringify(entries, null, 1));
  else say(`Wrote ${await mergeResults(name, entries)}`);
}

const fileOf = (name: string): string => path.join(root, "results", `${name}.json`);

/** A machine's facts, as the files give them. */
const machine = () => ({ cpu: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, memory_gib: Math.round(totalmem() / 2 ** 30), system: `${process.platform} ${process.arch}`, node: process.version });

/** MAMBASCOPE_COMMIT names it for copies of the project without its history. */
async function commitOf(): Promise<string> {
  if (process.env.MAMBASCOPE_COMMIT) return process.env.MAMBASCOPE_COMMIT;
  const [commit, changes] = await Promise.all([
    run("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root }),
    run("git", ["status", "--porcelain", "--", ...sources], { cwd: root }),
  ]);
  return `${commit.stdout.trim()}${changes.stdout.trim() ? " with changes" : ""}`;
}

async function existing(name: string): Promise<Results | null> {
  const text = await readFile(fileOf(name), "utf8").catch(() => null);
  return text === null ? null : resultsSchema.parse(JSON.parse(text));
}

/** Those of `entries` that none of `others` replaces: numbers of `of` are measured, the rest says what the entry is about. */
export function without(entries: readonly ResultEntry[], others: readonly ResultEntry[]): ResultEntry[] {
  const about = ({ metric, of }: ResultEntry): string => JSON.stringify([metric, ...Object.entries(of).filter(([, value]) => typeof value === "string").map(String).sort()]);
  const replaced = new Set(others.map(about));
  return entries.filter((entry) => !replaced.has(about(entry)));
}

async function write(name: string, given: Results): Promise<string> {
  const results = resultsSchema.parse({ ...given, entries: given.entries.map((entry) => ({ ...entry, value: rounded(entry.value), ...(entry.ratio === undefined ? {} : { ratio: rounded(entry.ratio) }) })) });
  const file = fileOf(name);
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
