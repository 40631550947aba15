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
    { kind: "layers", count: 2, lookup: true },
  ];
  const lengths: Drafted[] = [1, 2, 3, 4, 5, 6, 7, 8, "adaptive"];
  it.each(["teacher", "attn50", "attn25", "attn12", "attn0"].map((variant, turn) => [turn, variant] as const))("equals plain decoding: %i, %s", async (turn, variant) => {
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

describe("with drafts of the trainer's", () => {
  const fixture = fixtureBundle();
  const prompt = [5, 80, 200, 300, 17];

  it("equals plain decoding with a recurrent and an attention draft, and with a repetition penalty", async () => {
    const session = await diskSession(fixture, fixture.config("teacher"), { kind: "lookup" }, 96);
    const penalty = { sampling: { ...greedy, repetitionPenalty: 1.3 } };
    const [expected, penalised] = [await plain(session, prompt, { maxTokens: 40 }), await plain(session, prompt, { maxTokens: 40, ...penalty })];
    expect(penalised).not.toEqual(expected);
    for (const variant of ["draft2", "draft2-attention"]) {
      session.drafter = await diskDrafter(fixture, fixture.config("teacher"), { kind: "model", variant }, 96);
      for (const K of [1, 5, 8, "adaptive"] satisfies Drafted[]) {
        const run = await speculate(session, prompt, { maxTokens: 40, K });
        expect(run.tokenIds, `${variant}, K = ${K}`).toEqual(expected);
        expect((await speculate(session, prompt, { maxTokens: 40, K, ...penalty })).tokenIds, `${variant}, K = ${K}, penalty`).toEqual(penalised);
      }
    }
  });

  it("accepts every draft of the target itself, and says what it did", async () => {
    const session = await diskSession(fixture, fixture.config("teacher"), { kind: "model", variant: "teacher" }, 96);
    const { cycles, totals, tokenIds } = await speculate(session, prompt, { maxTokens: 26, K: 4 });
    expect(totals).toMatchObject({ cycles: 5, drafted: 20, accepted: 20, acceptance: 1, acceptedLengths: [0, 0, 0, 0, 5, 0, 0, 0, 0], tokensPerCycle: 5 });
    expect(cycles.flatMap(({ tokens }) => tokens.map(({ token }) => token))).toEqual(tokenIds.slice(1));
    for (const { drafts, tokens, decision } of cycles) {
      expect(tokens.map(({ tag }) => tag)).toEqual(["accepted", "accepted", "accepted", "accepted", "bonus"]);
      expect(decision.kind).toBe("bonus");
      for (const { p, q } of drafts) expect(Math.abs(q - p!)).toBeLessThan(1e-4);
    }
  });
});

describe("with a shortlist of a ranking", () => {
  // Not the first ids, and in no order: a column that is taken for its token's id, or the other way round, drafts other tokens.
  const ranking = Uint32Array.from({ length: 3000 }, (_, place) => (place * 1237 + 5) % 4096);
  const ranked = { ...stories, tokenRanking: () => Promise.resolve(ranking) };
  const shape = { kind: "layers", count: 4, shortlist: 2500 } as const;
  const prompt = prompts[0]!;

  it("drafts those tokens alone, the best of them, and equals plain decoding", async () => {
    const session = await diskSession(ranked, stories.config("attn50"), shape, 128);
    const whole = await diskDrafter(stories, stories.config("attn50"), { kind: "layers", count: 4 }, 128);
    const [expected, penalty] = [await plain(session, prompt, { maxTokens: 24 }), { sampling: { ...greedy, repetitionPenalty: 1.3 } }];
    const penalised = await plain(session, prompt, { maxTokens: 24, ...penalty });
    const listed = new Set(ranking.slice(0, 2500));
    for (const K of [3, "adaptive"] satisfies Drafted[]) {
      const { tokenIds, cycles } = await speculate(session, prompt, { maxTokens: 24, K });
      expect(tokenIds).toEqual(expected);
      expect(cycles.flatMap(({ drafts }) => drafts).filter(({ token }) => !listed.has(token))).toEqual([]);
      expect((await speculate(session, prompt, { maxTokens: 24, K, ...penalty })).tokenIds).toEqual(penalised);
    }
    // Where the whole head's choice is on the list, the short head makes it too.
    const request = { count: 1, sampling: greedy, goOn: () => true };
    for (const drafter of [session.drafter, whole]) await drafter.begin(prompt, 1, {});
    let same = 0;
    for (let end = 2; end < 18; end++) {
      const tokens = [...prompt, ...expected.slice(0, end)];
      const [[one], [other]] = [await session.drafter.draft(tokens, request), await whole.draft(tokens, request)];
      expect(listed.has(one!.token)).toBe(true);
      if (!listed.has(other!.token)) continue;
      same++;
      expect(one!.token).toBe(other!.token);
      expect(one!.q).toBeGreaterThan(other!.q * 0.999);
    }
    expect(same).toBeGreaterThan(3);
  });

  it("has a distribution over the list alone, of which the drawn token has its share", async () => {
    const drafter = await diskDrafter(ranked, stories.config("attn50"), shape, 128);
    await drafter.begin(prompt, 7, {});
    const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1.2 };
    const drafts = await drafter.draft([...prompt, 9], { count: 8, sampling, goOn: () => true });
    expect(drafts).toHaveLength(8);
    const listed = new Set(ranking.slice(0, 2500));
    for (const { token, q, distribution } of drafts) {
      expect(distribution![token]).toBe(q);
      expect(distribution!.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 9);
      distribution!.forEach((value, id) => expect(value > 0).toBe(listed.has(id)));
    }
  });
});

describe("the end of a speculative answer", () => {
  const prompt = prompts[0]!;
  const config = stories.config("attn50");

  it("comes where plain decoding's does: at a stop token, at the limit and at the context's end", async () => {
    const session = await diskSession(stories, config, { kind: "layers", count: 4 }, 24);
    const tokens = await plain(session, prompt, { maxTokens: 19 });
    for (const K of [1, 4, 8] satisfies Drafted[]) {
      const stop = tokens[9]!;
      const stopped = await speculate(session, prompt, { stopTokens: new Set([stop]), K });
      expect(stopped).toMatchObject({ finishReason: "stop", tokenIds: tokens.slice(0, tokens.indexOf(stop)) });
      for (const maxTokens of [1, 2, 7]) {
        expect(await speculate(session, prompt, { maxTokens, K })).toMatchObject({ finishReason: "length", tokenIds: tokens.slice(0, maxTokens) });
      }
      const full = await speculate(session, prompt, { maxTokens: 100, K });
      expect(full).toMatchObject({ finishReason: "context", tokenIds: tokens });
    }
    await expect(speculate(session, new Array<number>(24).fill(1))).rejects.toThrow(ContextTooLongError);
  });

  it("comes when cancelled, in a cycle or between two, and leaves a session that goes on", async () => {
    const session = await diskSession(stories, config, { kind: "layers", count: 4 }, 64);
    const expected = await plain(session, prompt);
    const { drafter } = session;
    for (const during of [1, 2]) {
      const canceller = new AbortController();
      let drafted = 0;
      session.drafter = {
        stepwise: true,
        memory: drafter.memory,
        begin: (...given) => drafter.begin(...given),
        dispose: () => drafter.dispose(),
        draft: async (...given) => {
          const drafts = await drafter.draft(...given);
          if (++drafted === during) canceller.abort(new DOMException("Cancelled", "AbortError"));
          return drafts;
        },
      };
      const cancelled = await speculate(session, prompt, { signal: canceller.signal });
      expect(cancelled.finishReason).toBe("cancelled");
      expect(cancelled.cycles).toHaveLength(during - 1);
      expect(cancelled.tokenIds).toEqual(expected.slice(0, cancelled.tokenIds.length));
      session.drafter = drafter;
      expect((await speculate(session, prompt)).tokenIds).toEqual(expected);
      const next = [...prompt, ...expected, 9, 10]; // the next turn of the conversation, on the state that the run left
      expect((await speculate(session, next)).tokenIds).toEqual(await plain(await diskSession(stories, config, { kind: "lookup" }, 64), next));
    }
  });
});
