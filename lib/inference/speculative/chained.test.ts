import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Chain, ChainedCycle, RollbackRunner } from "../runner";
import { best } from "../sampler";
import { syntheticRunner } from "../testing";
import { decide, decideByChoices, type Draft } from "./acceptance";
import { ownFeature } from "./features";
import { firstLayers } from "./first-layers";
import { AdaptiveLength } from "./adaptive";
import { Costs } from "./costs";
import { CHAINED_LENGTHS } from "./length";
import { ModelDrafter } from "./model-drafter";
import { probabilityOf } from "./probability";
import { type AnswerOptions, SpeculativeSession } from "./session";
import { drain } from "./sweep";
import { fixtureBundle, storiesBundle } from "./testing";
import { Random } from "../random";
import type { Cycle } from "./types";

const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

/** A chain's contract, kept step by step: what runs on WebGPU is held against single steps in unroll.test.ts and in the browser. */
class StepChain implements Chain {
  readonly weightBytes = 0;
  readonly prepared = new Set<number>();
  cycles = 0;

  constructor(
    private readonly target: RollbackRunner,
    private readonly draft: RollbackRunner,
  ) {}

  has(steps: number): boolean {
    return this.prepared.has(steps);
  }

  prepare(steps: number): Promise<void> {
    this.prepared.add(steps);
    return Promise.resolve();
  }

  async cycle(news: readonly number[], features: Float32Array | null, steps: number, wanted: boolean): Promise<ChainedCycle> {
    this.cycles++;
    const [drafts, probabilities]: [number[], number[]] = [[], []];
    let read = news;
    let rows = features;
    while (drafts.length < steps) {
      const logits = await this.draft.read(read, { rows: "last", more: true, ...(rows && { features: rows }) });
      rows &&= ownFeature(this.draft);
      const token = best(logits);
      drafts.push(token);
      probabilities.push(probabilityOf(logits, token));
      read = [token];
    }
    const logits = Float32Array.from(await this.target.read([news.at(-1) ?? 0, ...drafts], { rows: "all", more: false }));
    const width = logits.length / (steps + 1);
    const choices = Array.from({ length: steps + 1 }, (_, row) => best(logits.subarray(row * width, (row + 1) * width)));
    return { drafts, probabilities, choices, logits: wanted ? logits : null, timings: { draftMs: 1, verifyMs: 1, readbackMs: 1 }, readbackBytes: 0 };
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

/** A target with a draft of its first layers, and one with a draft on its features. */
const [stories, fixture] = [storiesBundle(), fixtureBundle()];
const models = {
  "the target's first layers": { bundle: stories, config: stories.config("attn50"), draft: firstLayers(stories.config("attn50"), 4), prompt: [3, 50, 60, 70, 900] },
  "a draft on the target's features": { bundle: fixture, config: fixture.config("teacher"), draft: fixture.config("eagle1"), prompt: [5, 80, 200, 300, 17] },
};

describe.each(Object.entries(models))("cycles that read back once, of %s", async (_, { bundle, config, draft: small, prompt }) => {
  const open = async (contextLength: number, lookup = false) => {
    const runner = await syntheticRunner(bundle, config, { rollback: true, span: 9, contextLength, hidden: true });
    const draft = await syntheticRunner(bundle, small, { rollback: true, span: 9, contextLength });
    const chain = new StepChain(runner, draft);
    return { chain, session: new SpeculativeSession(runner, new ModelDrafter(draft, { chain, features: runner, lookup })) };
  };
  const options: AnswerOptions = { sampling: greedy, seed: 1, maxTokens: 24, stopTokens: new Set(), decode: (tokens) => tokens.map((token) => `${token} `).join("") };
  const wide = await open(128);
  const expected = (await drain(wide.session.plain(prompt, options))).tokenIds;

  it("give plain decoding's tokens at any length, and the cycles of single steps", async () => {
    const { session, chain } = wide;
    for (const K of [1, 3, 8, "adaptive"] as const) {
      const told: Record<"chained" | "stepwise", Cycle[]> = { chained: [], stepwise: [] };
      for (const way of ["chained", "stepwise"] as const) {
        if (K === "adaptive" && way === "stepwise") continue; // which decides after each draft
        const stream = session.run(prompt, { ...options, K, probabilities: true, chained: way === "chained" });
        const before = chain.cycles;
        for (;;) {
          const step = await stream.next();
          if (step.done) {
            expect(step.value.tokenIds, `${way}, K = ${K}`).toEqual(expected);
            break;
          }
          if ("cycle" in step.value) told[way].push(step.value.cycle);
        }
        expect(chain.cycles > before).toBe(way === "chained");
        for (const { readBacks, drafts } of told[way]) expect(readBacks).toBe(way === "chained" ? 1 : drafts.length + 1);
      }
      const facts = (cycles: readonly Cycle[]) => cycles.map(({ accepted, tokens, decision: { kind, token }, drafts }) => ({ accepted, tokens, kind, token, drafts: drafts.map((draft) => [draft.token, draft.q.toFixed(4), draft.p?.toFixed(4), draft.accepted]) }));
      if (K !== "adaptive") expect(facts(told.chained)).toEqual(facts(told.stepwise));
    }
    expect([...chain.prepared].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 8]);
  });

  it("take turns with copies, which the target alone reads", async () => {
    const { session, chain } = await open(128, true);
    // It stood in the prompt, so that its last tokens recur at once.
    const again = [...prompt, ...expected.slice(0, 12), ...prompt];
    const text = (await drain(session.plain(again, options))).tokenIds;
    for (const K of [1, 4, "adaptive"] as const) {
      await drain(session.run(prompt, { ...options, K, probabilities: false })); // prepares and measures the length
      const before = chain.cycles;
      const cycles: Cycle[] = [];
      const stream = session.run(again, { ...options, K, probabilities: false });
      for (;;) {
        const step = await stream.next();
        if (step.done) {
          expect(step.value.tokenIds, `K = ${K}`).toEqual(text);
          break;
        }
        if ("cycle" in step.value) cycles.push(step.value.cycle);
      }
      const copied = cycles.filter(({ drafts }) => drafts[0]?.q === 1);
      expect(copied.length).toBeGreaterThan(0);
      expect(cycles.every(({ readBacks }) => readBacks === 1)).toBe(true);
      if (K !== "adaptive") expect(chain.cycles - before).toBeLessThanOrEqual(cycles.length - copied.length);
    }
  });

  it("end where plain decoding ends, and leave a state that goes on", async () => {
    const { session } = wide;
    for (const K of [1, 4, 8]) {
      const stop = expected[9] ?? 0;
      expect(await drain(session.run(prompt, { ...options, K, probabilities: false, stopTokens: new Set([stop]) }))).toMatchObject({ finishReason: "stop", tokenIds: expected.slice(0, expected.indexOf(stop)) });
      for (const maxTokens of [1, 2, 7]) expect(await drain(session.run(prompt, { ...options, K, probabilities: false, maxTokens }))).toMatchObject({ finishReason: "length", tokenIds: expected.slice(0, maxTokens) });
      const next = [...prompt, ...expected.slice(0, 7), 9, 10];
      const [chained, plain] = [await drain(session.run(next, { ...options, K, probabilities: false, maxTokens: 8 })), await drain((await open(128)).session.plain(next, { ...options, maxTokens: 8 }))];
      expect(chained.tokenIds).toEqual(plain.tokenIds);
    }
    const narrow = await open(24);
    for (const K of [4, 8]) expect(await drain(narrow.session.run(prompt, { ...options, K, probabilities: false, maxTokens: 99 }))).toMatchObject({ finishReason: "context", tokenIds: expected.slice(0, 19) });
  });

  it("are left to single steps where a draw or a penalty needs the logits", async () => {
    const { session, chain } = wide;
    const before = chain.cycles;
    for (const sampling of [{ ...greedy, temperature: 0.7 }, { ...greedy, repetitionPenalty: 1.3 }]) await drain(session.run(prompt, { ...options, sampling, K: 2, probabilities: false, maxTokens: 6 }));
    expect(chain.cycles).toBe(before);
  });
});

it("a verdict by choices is that by logits", () => {
  const row = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 9 }), fc.array(fc.nat(5), { minLength: 8, maxLength: 8 }), (values, tokens) => {
      const rows = values.map((logits) => Float32Array.from(logits));
      const drafts = tokens.slice(0, rows.length - 1).map((token): Draft => ({ token, q: 1, distribution: null }));
      const byLogits = decide(drafts, (index) => rows[index] ?? new Float32Array(), [], { sampling: greedy, random: new Random(1), probabilities: true });
      expect(decideByChoices(drafts, rows.map(best), (index) => rows[index] ?? new Float32Array())).toEqual(byLogits);
    }),
  );
});

it("a length that is chosen ahead grows with acceptance and falls with the drafts' cost", () => {
  const settled = (accepted: number, cost: (drafts: number) => number): number => {
    const costs = new Costs();
    for (const length of CHAINED_LENGTHS) costs.observeVerify(length, cost(length));
    const plain = new Costs();
    plain.observeVerify(1, 50);
    const adaptive = new AdaptiveLength(plain, costs);
    const chosen: number[] = [];
    for (let cycle = 0; cycle < 400; cycle++) {
      const K = adaptive.ahead();
      chosen.push(K);
      if (K === 0) {
        adaptive.observe({ asked: 0, drafts: [], verified: 0, accepted: 0, timings: { draftMs: 0, verifyMs: 50, readbackMs: 0, otherMs: 0 } });
        continue;
      }
      const drafts = Array.from({ length: K }, (): Draft => ({ token: 1, q: 0.5, distribution: null }));
      adaptive.observeChained({ asked: K, drafts, verified: K, accepted: Math.min(accepted, K), timings: { draftMs: 0, verifyMs: cost(K), readbackMs: 0, otherMs: 0 } });
    }
    return chosen.slice(-8).sort((a, b) => a - b)[3] ?? NaN;
  };
  const cheap = (drafts: number): number => 50 + 2 * drafts;
  expect(settled(8, cheap)).toBe(8);
  expect(settled(0, cheap)).toBe(0);
  expect(settled(8, (drafts) => 20 + 60 * drafts)).toBe(1);
});
