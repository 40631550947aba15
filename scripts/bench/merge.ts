/**
 * `node scripts/bench/main.mjs merge NAME FILE`: puts the entries that a benchmark wrote to MAMBASCOPE_BENCH_OUT, often on another machine, into
 * `results/NAME.json`, in place of those of the same metric and names. `command=`, `machine=`, `date=` and `commit=` are for entries that do not say.
 */
import { readFile } from "node:fs/promises";
import { say } from "../lib/console.mjs";
import { SetupError } from "../lib/run.mjs";
import { mergeResults, type ResultEntry } from "./results";

const ORIGIN = ["command", "machine", "date", "commit"] as const;

export async function main(options: string[]): Promise<number> {
  const [name, file] = options.filter((option) => !ORIGIN.some((key) => option.startsWith(`${key}=`)));
  if (!name || !file) throw new SetupError("merge", "Two things are to be named.", "Name the results (speculative, speed, …) and the file of entries.");
  const given = Object.fromEntries(ORIGIN.flatMap((key) => options.filter((option) => option.startsWith(`${key}=`)).map((option) => [key, option.slice(key.length + 1)])));
  const entries = (JSON.parse(await readFile(file, "utf8")) as ResultEntry[]).map((entry): ResultEntry => ({ ...given, ...entry }));
  const lacking = ORIGIN.find((key) => entries.some((entry) => entry[key] === undefined));
  if (lacking) throw new SetupError("merge", `Some entries of ${file} do not say their ${lacking}.`, `Give it as ${lacking}=….`);
  say(`Wrote ${await mergeResults(name, entries)}`);
  return 0;
}
