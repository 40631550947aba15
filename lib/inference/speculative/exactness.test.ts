import { describe, expect, it } from "vitest";
import { ContextTooLongError } from "../errors";
import type { SpeculativeAnswered, SpeculativeOptions, SpeculativeSession } from "./session";
import { diskDrafter, diskSession, fixtureBundle, storiesBundle } from "./testing";
import type { Cycle, DraftChoice, Drafted } from "./types";

const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
const options = (changes: Partial<SpeculativeOptions> = {}): SpeculativeOptions => ({
  sampling: greedy,
  seed: 1,
  maxTokens: 20,
  stopTokens: new Set(),
  decode: (tokens) => tokens.map((token) => `${token} `).join(""),
  K: 4,
  probabilities: true,
  ...changes,
});

async function plain(session: SpeculativeSession, prompt: number[], changes: Partial<SpeculativeOptions> = {}): Promise<number[]> {
  const stream = session.plain(prompt, options(changes));
  for (;;) {
    const step = await stream.next();
    if (step.done) return step.value.tokenIds;
  }
}

async function speculate(session: SpeculativeSession, prompt: number[], changes: Partial<SpeculativeOptions> = {}): Promise<SpeculativeAnswered & { cycles: Cycle[] }> {
  const stream = session.run(prompt, options(changes));
  const cycles: Cycle[] = [];
  for (;;) {
    const step = await stream.next();
    if (step.done) return { ...step.value, cycles };
    if ("cycle" in step.value) cycles.push(step.value.cycle);
  }
}

const stories = storiesBundle();
const prompts = [
  [3, 50, 60, 70, 900],
  [500, 7, 1200, 88, 42, 500, 7],
];

describe("greedy speculative decoding of the stories models", () => {
  const drafts: DraftChoice[] = [
    { kind: "layers", count: 3 },
    { kind: "layers", count: 2, shortlist: 512 },
    { kind: "lookup" },
    { kind: "model", variant: "attn0" },
  ];
  const lengths: Drafted[] = [1, 2, 3, 4, 5, 6, 7, 8, "adaptive"];
  it.each(["teacher", "attn50", "attn25", "attn12", "attn0"].entries())("equals plain decoding: %i, %s", async (turn, variant) => {
    const config = stories.config(variant);
    const session = await diskSession(stories, config, { kind: "lookup" });
    const expected: number[][] = [];
    for (const prompt of prompts) expected.push(await plain(session, prompt));
    // All lengths come up, each with several drafts and variants; the benchmark tries every combination.
    for (const [row, draft] of drafts.entries()) {
      session.drafter = await diskDrafter(stories, config, draft);
      for (const [index, prompt] of prompts.entries()) {
        const K = lengths[(2 * turn + 3 * row + 5 * index) % lengths.length]!;
        const { tokenIds, totals } = await speculate(session, prompt, { K });
        expect(tokenIds, `${JSON.stringify(draft)}, K = ${K}`).toEqual(expected[index]);
        expect(totals.tokens).toBe(20);
      }
      await session.drafter.dispose();
    }
    await session.runner.dispose();
  });
});
