import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdaptiveLength } from "./adaptive";
import { Costs } from "./costs";
import type { CycleReport } from "./length";
import type { SpeculativeSession } from "./session";
import { diskDrafter, diskSession, storiesBundle } from "./testing";
import type { Cycle, Drafted } from "./types";
import type { SamplingOptions } from "../sampler";

const greedy: SamplingOptions = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
const stories = storiesBundle();
const config = stories.config("attn50");
const prompt = [3, 50, 60, 70, 900, 41, 3, 50];
const draft = { kind: "layers", count: 2 } as const;

describe("a draft that copies where it can", () => {
  let session: SpeculativeSession;
  beforeAll(async () => {
    session = await diskSession(stories, config, { ...draft, lookup: true });
  });
  afterAll(async () => {
    await session.drafter.dispose();
    await session.runner.dispose();
  });

  const run = async (K: Drafted, maxTokens = 40): Promise<{ tokenIds: number[]; cycles: Cycle[] }> => {
    const cycles: Cycle[] = [];
    const answer = session.run(prompt, { sampling: greedy, seed: 1, maxTokens, stopTokens: new Set(), decode: String, K, probabilities: false });
    for (;;) {
      const step = await answer.next();
      if (step.done) return { tokenIds: step.value.tokenIds, cycles };
      if ("cycle" in step.value) cycles.push(step.value.cycle);
    }
  };

  it.each<Drafted>([1, 4, 8, "adaptive"])("gives the text without copies; what is copied followed the same tokens before, and waits for no draft: K = %s", async (K) => {
    const copying = session.drafter;
    session.drafter = await diskDrafter(stories, config, draft);
    const { tokenIds } = await run(K);
    await session.drafter.dispose();
    session.drafter = copying;
    const found = await run(K);
    expect(found.tokenIds).toEqual(tokenIds);

    let text = [...prompt, found.tokenIds[0]!];
    let copied = 0;
    for (const { drafts, tokens, readBacks } of found.cycles) {
      const [a, b] = text.slice(-2);
      const behind = text.flatMap((_, place) => (place >= 2 && text[place - 2] === a && text[place - 1] === b ? [text[place]] : []));
      if (behind.length > 0 && drafts.length > 0) {
        expect(behind).toContain(drafts[0]!.token);
        expect(drafts.every(({ q }) => q === 1)).toBe(true);
        expect(readBacks).toBe(1);
        copied++;
      } else expect(drafts.every(({ q }) => q < 1)).toBe(true);
      text = [...text, ...tokens.map(({ token }) => token)];
    }
    expect(text).toEqual([...prompt, ...found.tokenIds]);
    expect(copied).toBeGreaterThan(0);
  });

  it("leaves no room behind the last token", async () => {
    expect((await run(8, 2)).tokenIds).toHaveLength(2);
  });
});

describe("adaptive lengths of copies", () => {
  const costs = new Costs();
  for (const tokens of [1, 2, 3, 5, 9]) costs.observeVerify(tokens, 10 + 4 * tokens);
  const drafts = Array.from({ length: 8 }, () => ({ token: 1, q: 1, distribution: null }));
  const report = (match: number, accepted: number): CycleReport => ({ asked: 8, drafts, verified: 8, accepted, match, timings: { draftMs: 0, verifyMs: 46, readbackMs: 0, otherMs: 0 } });

  it("verify more behind longer matches, and learn how often they are right, apart from the model's drafts", () => {
    const length = new AdaptiveLength(costs, new Costs());
    length.next();
    expect(length.cut(drafts, 8)).toBeGreaterThan(length.cut(drafts, 2));
    const before = costs.drafting(1);
    for (let cycle = 0; cycle < 60; cycle++) length.observe(report(2, 0));
    length.next();
    expect(length.cut(drafts, 2)).toBe(0);
    expect(costs.drafting(1)).toBe(before);
    const other = new AdaptiveLength(costs, new Costs());
    for (let cycle = 0; cycle < 60; cycle++) other.observe(report(2, 8));
    other.next();
    expect(other.cut(drafts, 2)).toBe(8);
  });
});
