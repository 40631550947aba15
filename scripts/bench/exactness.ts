/**
 * `node scripts/bench/main.mjs exactness [family]`: whether greedy speculative decoding gives plain decoding's tokens, in Node on WebAssembly with the
 * page's sessions: every ratio that a family ships, every draft, every K from 1 to 8.
 * Options: `targets=a,b`, `drafts=x,y`, `prompts=N`, `tokens=N`; `full` tries each K on each prompt, `cycle-K` one K a prompt in turn (without either: `full`
 * for vocabularies under 16384 tokens); `jobs=N` processes of one thread each; `out=FILE` keeps what was found, so that a run that was ended goes on
 * where it stopped; `fresh` forgets it. The entries are merged into `results/speculative.json`, or written to the file that MAMBASCOPE_BENCH_OUT names.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { DEFAULT_SHORTLIST } from "@/lib/inference/speculative/shortlist";
import type { DraftChoice } from "@/lib/inference/speculative/types";
import { MAX_DRAFTED } from "@/lib/inference/speculative/types";
import { filesOf, hybridConfigOf, type Manifest } from "@/lib/weights/manifest";
import { say } from "../lib/console.mjs";
import { homeFolder } from "../lib/paths.mjs";
import { openFamily } from "./exactness-family";
import { type Cell, Findings, type Outcome } from "./exactness-findings";
import { runJobs } from "./jobs";
import { Options } from "./options";
import { deliver, origin } from "./results";

/** From this vocabulary on, each K on each prompt takes hours. */
const LARGE_VOCABULARY = 16384;

/** What one process does at a time: a prompt with every draft, so that plain decoding of it is done once. */
export type Task = {
  readonly family: string;
  readonly target: string;
  readonly prompt: number;
  readonly tokens: number;
  readonly drafts: readonly { readonly draft: string; readonly choice: DraftChoice; readonly K: readonly number[] }[];
};

export async function main(given: string[]): Promise<number> {
  const options = new Options(given, ["targets", "drafts", "prompts", "tokens", "jobs", "out"]);
  const command = `node scripts/bench/main.mjs exactness ${given.filter((option) => !/^(out|jobs)=|^fresh$/.test(option)).join(" ")}`.trim();
  const family = options.words.find((word) => !["full", "cycle-K", "fresh"].includes(word)) ?? "stories";
  const { bundle, inputs } = openFamily(family);
  const { manifest } = bundle;
  const [prompts, tokens] = [Math.min(options.number("prompts", 20), inputs.length), options.number("tokens", 128)];
  const full = options.has("full") || (!options.has("cycle-K") && manifest.architecture.vocab_size < LARGE_VOCABULARY);
  const lengths = Array.from({ length: MAX_DRAFTED }, (_, index) => index + 1);
  const lengthsOf = (prompt: number): number[] => (full ? lengths : [1 + (prompt % MAX_DRAFTED)]);

  const wanted = <T>(all: Readonly<Record<string, T>>, names: readonly string[] | undefined): [string, T][] =>
    (names ?? Object.keys(all)).map((name) => [name, all[name] ?? unknown(name, Object.keys(all))]);
  const targets = wanted(targetsOf(manifest), options.list("targets")).map(([name]) => name);
  const drafts = wanted(draftsOf(manifest), options.list("drafts"));
  const findings = await Findings.open(options.text("out") ?? path.join(homeFolder(), "bench", `exactness-${family}.jsonl`), weightsIn(manifest, Object.fromEntries(drafts)), tokens, options.has("fresh"));
  const tasks = targets.flatMap((target) =>
    Array.from({ length: prompts }, (_, prompt): Task => {
      const rest = drafts.map(([draft, choice]) => ({ draft, choice, K: lengthsOf(prompt).filter((K) => !findings.has({ target, draft, prompt, K })) }));
      return { family, target, prompt, tokens, drafts: rest.filter(({ K }) => K.length > 0) };
    }).filter((task) => task.drafts.length > 0),
  );
  say(`── ${family}: ${targets.join(", ")}; ${drafts.map(([name]) => name).join(", ")}; ${full ? "each K on each prompt" : "one K a prompt"}; ${tasks.length} tasks`);
  const began = performance.now();
  let done = 0;
  await runJobs<Task, Outcome>(tasks, {
    jobs: options.number("jobs", 1),
    arguments: ["exactness-worker"],
    // A process that has a target in memory goes on with it.
    likes: (task, last) => task.target === last.target,
    onPart: async (outcome) => {
      await findings.add(outcome);
      if (outcome.mismatch) say(`different: ${JSON.stringify(outcome)}`);
    },
    onDone: ({ target, prompt }) => {
      done += 1;
      say(`${done}/${tasks.length} after ${Math.round((performance.now() - began) / 1000)} s: ${target}, prompt ${prompt}`);
    },
  });

  const from = await origin(command);
  const cells = targets.flatMap((target) => drafts.map(([draft]): Cell => ({ target, draft })));
  const entries = cells.flatMap((cell) => findings.entries(cell, { family, prompts, lengthsOf, full })).map((entry) => ({ ...entry, ...from }));
  const different = entries.reduce((sum, { value }) => sum + value, 0);
  say(`${entries.length} entries; ${different} answers that differ; ${Math.round((performance.now() - began) / 1000)} s.`);
  await deliver("speculative", entries);
  return different === 0 ? 0 : 1;
}

/** The variants that are whole models, each pattern once. */
function targetsOf({ architecture, variants }: Manifest): Record<string, readonly string[]> {
  const patterns = new Set<string>();
  const whole = Object.entries(variants).filter(([, { layers }]) => layers.length === architecture.num_hidden_layers && patterns.size < patterns.add(layers.join()).size);
  return Object.fromEntries(whole.map(([name, { layers }]) => [name, layers]));
}

/** The drafts that the family ships (or, where it ships none, its model without attention), each with copies too, the target's first quarter, and prompt lookup. */
function draftsOf({ architecture, variants }: Manifest): Record<string, DraftChoice> {
  const shortlist = architecture.vocab_size < LARGE_VOCABULARY ? {} : { shortlist: DEFAULT_SHORTLIST };
  const small = Object.keys(variants).filter((name) => (variants[name]?.layers.length ?? 0) < architecture.num_hidden_layers);
  const models = small.length > 0 ? small : ["attn0"].filter((name) => Object.hasOwn(variants, name));
  const count = Math.ceil(architecture.num_hidden_layers / 4);
  return {
    ...Object.fromEntries(models.map((variant): [string, DraftChoice] => [variant, { kind: "model", variant, ...shortlist }])),
    ...Object.fromEntries(models.map((variant): [string, DraftChoice] => [`${variant}+lookup`, { kind: "model", variant, ...shortlist, lookup: true }])),
    [`first ${count} layers`]: { kind: "layers", count, ...shortlist },
    lookup: { kind: "lookup" },
  };
}

/** Names the files of a target and its draft by what is in them. */
function weightsIn(manifest: Manifest, drafts: Readonly<Record<string, DraftChoice>>): (cell: Cell) => string {
  const known = new Map<string, string>();
  const files = (variant: string): string[] => filesOf(manifest, hybridConfigOf(manifest, variant)).map(({ sha256 }) => sha256);
  const named = ({ target, draft }: Cell): string => {
    const choice = drafts[draft];
    if (!choice || !Object.hasOwn(manifest.variants, target)) return "";
    const own = choice.kind === "model" && choice.variant ? files(choice.variant) : [];
    return createHash("sha256").update(JSON.stringify([manifest.variants[target]?.layers, files(target), choice, own])).digest("hex").slice(0, 12);
  };
  return (cell) => {
    const key = JSON.stringify([cell.target, cell.draft]);
    const weights = known.get(key) ?? named(cell);
    known.set(key, weights);
    return weights;
  };
}

function unknown(name: string, known: readonly string[]): never {
  throw Object.assign(new Error(`There is no "${name}" in this family.`), { action: `Choose of: ${known.join(", ")}.` });
}
