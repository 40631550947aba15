/** The runs table's rows: searched, filtered, sorted. Pure. */
import type { RunState, RunSummary } from "@/lib/training/types";
import { runStateSchema } from "@/lib/training/types";

export const columns = ["name", "state", "progress", "kl", "tokens", "speed", "started", "duration"] as const;
export type Column = (typeof columns)[number];
export type Sort = { readonly column: Column; readonly down: boolean };
export type Filter = { readonly search: string; readonly state: RunState | "active" | null; readonly node: string | null; readonly tag: string | null };

export const newestFirst: Sort = { column: "started", down: true };
export const noFilter: Filter = { search: "", state: null, node: null, tag: null };

/** The measure that tells how good a run is: the KL where it has one, else its loss. */
export function quality({ latest, best }: Pick<RunSummary, "latest" | "best">): { name: "kl" | "loss"; last: number | null; best: number | null } {
  const name = latest.kl !== undefined || best?.kl !== undefined ? "kl" : "loss";
  return { name, last: latest[name] ?? null, best: best?.[name] ?? null };
}

export const durationOf = ({ started, updated, state }: Pick<RunSummary, "started" | "updated" | "state">, now: number): number | null =>
  started === null ? null : (state === "running" ? now : updated) - started;

function matches(run: RunSummary, { search, state, node, tag }: Filter): boolean {
  if (state !== null && run.state !== state && !(state === "active" && (run.state === "running" || run.state === "queued"))) return false;
  if (node !== null && run.node !== node) return false;
  if (tag !== null && !run.tags.includes(tag)) return false;
  const text = [run.name, run.id, run.family, run.method, run.preset, run.node, run.notes, ...run.tags].join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

type Key = string | number | null;

function keyOf(run: RunSummary, column: Column, now: number): Key {
  switch (column) {
    case "name":
      return run.name.toLowerCase();
    case "state":
      return runStateSchema.options.indexOf(run.state);
    case "progress":
      return run.steps > 0 ? run.step / run.steps : null;
    case "kl":
      return quality(run).best ?? quality(run).last;
    case "tokens":
      return run.tokens;
    case "speed":
      return run.latest.tokens_per_second ?? null;
    case "started":
      return run.started ?? run.created;
    case "duration":
      return durationOf(run, now);
  }
}

/** The runs that pass the filter in the order of the sort. What has no value comes last whichever the direction; equal ones newest first. */
export function arrange(runs: readonly RunSummary[], filter: Filter, { column, down }: Sort, now: number): RunSummary[] {
  const keyed = runs.filter((run) => matches(run, filter)).map((run) => ({ run, key: keyOf(run, column, now) }));
  return keyed
    .sort((one, other) => {
      const [a, b] = [one.key, other.key];
      if (a === b) return other.run.created - one.run.created || one.run.id.localeCompare(other.run.id);
      if (a === null) return 1;
      if (b === null) return -1;
      const order = typeof a === "string" && typeof b === "string" ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b);
      return down ? -order : order;
    })
    .map(({ run }) => run);
}

/** Sort and filter in an address; what cannot be read is as by default. */
export function readTable(query: URLSearchParams): { sort: Sort; filter: Filter } {
  const text = query.get("sort") ?? "";
  const column = columns.find((name) => name === text.replace(/^-/, ""));
  const state = [...runStateSchema.options, "active" as const].find((name) => name === query.get("state")) ?? null;
  return {
    sort: column ? { column, down: text.startsWith("-") } : newestFirst,
    filter: { search: query.get("search") ?? "", state, node: query.get("node"), tag: query.get("tag") },
  };
}

export function writeTable(query: URLSearchParams, { sort, filter }: { sort: Sort; filter: Filter }): void {
  const set = (key: string, value: string | null): void => (value === null || value === "" ? query.delete(key) : query.set(key, value));
  const plain = sort.column === newestFirst.column && sort.down === newestFirst.down;
  set("sort", plain ? null : `${sort.down ? "-" : ""}${sort.column}`);
  for (const [key, value] of Object.entries(filter)) set(key, value);
}
