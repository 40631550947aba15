/** A process of the exactness matrix, which exactness.ts starts: one target at a time, with its drafts. */
import type { Drafter } from "@/lib/inference/speculative/drafter";
import { type AnswerOptions, SpeculativeSession } from "@/lib/inference/speculative/session";
import { drain } from "@/lib/inference/speculative/sweep";
import { diskDrafter, diskSession } from "@/lib/inference/speculative/testing";
import { nodeRuntime } from "@/lib/inference/testing";
import type { Task } from "./exactness";
import { type Family, GREEDY, openFamily } from "./exactness-family";
import type { Mismatch, Outcome } from "./exactness-findings";
import { serveJobs } from "./jobs";

const CONTEXT = 1024;

// Now, since the loader that finds its files is closed once this module is loaded.
await nodeRuntime();

type Loaded = { readonly key: string; readonly family: Family; session: SpeculativeSession; readonly drafters: Map<string, Drafter> };

/** Does tasks until there are no more. */
export function main(): Promise<never> {
  let loaded: Loaded | null = null;
  return serveJobs<Task, Outcome>(async (task, onOutcome) => {
    const key = `${task.family} ${task.target}`;
    if (loaded?.key !== key) {
      if (loaded) await unload(loaded);
      loaded = await load(key, task);
    }
    await attempt(loaded, task, onOutcome);
  });
}

async function load(key: string, { family: name, target }: Task): Promise<Loaded> {
  const family = openFamily(name);
  const session = await diskSession(family.bundle, family.bundle.config(target), { kind: "lookup" }, CONTEXT);
  return { key, family, session, drafters: new Map() };
}

async function unload({ session, drafters }: Loaded): Promise<void> {
  for (const drafter of drafters.values()) await drafter.dispose();
  await session.runner.dispose();
}

/** One prompt: plainly, then with each draft and K. */
async function attempt(loaded: Loaded, { target, prompt, tokens, drafts }: Task, onOutcome: (outcome: Outcome) => void): Promise<void> {
  const { bundle, tokenizer, inputs } = loaded.family;
  const input = inputs[prompt] ?? [];
  const options: AnswerOptions = { sampling: GREEDY, seed: 1, maxTokens: tokens, stopTokens: new Set(), decode: (ids) => tokenizer.decode(ids) };
  const plain = (await drain(loaded.session.plain(input, options))).tokenIds;
  for (const { draft, choice, K: lengths } of drafts) {
    const drafter = loaded.drafters.get(draft) ?? (await diskDrafter(bundle, bundle.config(target), choice, CONTEXT, loaded.session.runner));
    loaded.drafters.set(draft, drafter);
    for (const K of lengths) {
      loaded.session.drafter = drafter;
      const { tokenIds, totals } = await drain(loaded.session.run(input, { ...options, K, probabilities: false }));
      const mismatch = await difference(loaded, input, plain, tokenIds);
      onOutcome({ target, draft, prompt, K, answered: tokenIds.length, accepted: totals.acceptance, mismatch });
    }
  }
}

/** Where two answers part, and how sure plain decoding was there. */
async function difference(loaded: Loaded, input: readonly number[], plain: readonly number[], speculative: readonly number[]): Promise<Mismatch | null> {
  const position = Array.from({ length: Math.max(plain.length, speculative.length) }, (_, index) => index).find((index) => plain[index] !== speculative[index]);
  if (position === undefined) return null;
  const { runner, drafter } = loaded.session;
  runner.reset();
  const read = [...input, ...plain.slice(0, position)];
  let logits = new Float32Array();
  for (let begin = 0; begin < read.length; begin += runner.chunk) logits = Float32Array.from(await runner.forward(read.slice(begin, begin + runner.chunk)));
  const [first = 0, second = 0] = Array.from(logits).sort((a, b) => b - a);
  runner.reset();
  loaded.session = new SpeculativeSession(runner, drafter); // which knows that the state is empty
  return { position, plain: plain[position] ?? null, speculative: speculative[position] ?? null, margin: first - second };
}
