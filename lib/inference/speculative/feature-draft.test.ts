/** Drafts on the target's features: which hidden states they read, and that the answer stays the target's own. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { RuntimeError } from "../errors";
import type { RollbackRunner } from "../runner";
import { best } from "../sampler";
import { syntheticRunner } from "../testing";
import { targetFeatures } from "./features";
import { ModelDrafter } from "./model-drafter";
import type { SpeculativeOptions, SpeculativeSession } from "./session";
import { drain } from "./sweep";
import { diskDrafter, diskSession, fixtureBundle } from "./testing";
import type { DraftChoice, Drafted } from "./types";

const WIDTH = 64;
const VOCABULARY = 160;
const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
const options = (changes: Partial<SpeculativeOptions> = {}): SpeculativeOptions => ({
  sampling: greedy,
  seed: 1,
  maxTokens: 24,
  stopTokens: new Set(),
  decode: (tokens) => tokens.join(" "),
  K: 4,
  probabilities: false,
  ...changes,
});

const plain = async (session: SpeculativeSession, prompt: readonly number[], changes: Partial<SpeculativeOptions> = {}): Promise<number[]> => (await drain(session.plain(prompt, options(changes)))).tokenIds;
const speculate = (session: SpeculativeSession, prompt: readonly number[], changes: Partial<SpeculativeOptions> = {}) => drain(session.run(prompt, options(changes)));

/** A small random family: a hybrid target with recurrent states, and drafts on its features of both kinds. */
const synthetic = await syntheticBundle({
  architecture: tinyArchitecture({ num_hidden_layers: 2 }),
  sets: { m: tinyMamba2() },
  drafts: {
    eagle: { shape: { num_hidden_layers: 1, intermediate_size: 96, features: true }, mixer: tinyMamba2() },
    "eagle-attention": { shape: { num_hidden_layers: 1, intermediate_size: 96, features: true }, mixer: "attention" },
    small: { shape: { num_hidden_layers: 1, intermediate_size: 96 }, mixer: tinyMamba2() },
  },
});
const hybrid = synthetic.config(["mamba2:m", "attention"]);
const draftLayers = (name: string) => synthetic.config(synthetic.manifest.variants[name]!.layers);
const lengths: Drafted[] = [1, 3, 8, "adaptive"];

describe("an answer with a draft on features", () => {
  const fixture = fixtureBundle();
  it.each(["eagle1", "eagle1-attention"])("is plain decoding's: the trainer's %s", async (variant) => {
    const prompt = [5, 80, 200, 300, 17];
    const session = await diskSession(fixture, fixture.config("teacher"), { kind: "model", variant }, 96);
    const penalty = { sampling: { ...greedy, repetitionPenalty: 1.3 } };
    const [expected, penalised] = [await plain(session, prompt, { maxTokens: 40 }), await plain(session, prompt, { maxTokens: 40, ...penalty })];
    for (const K of lengths) {
      expect((await speculate(session, prompt, { maxTokens: 40, K })).tokenIds, `K = ${K}`).toEqual(expected);
      expect((await speculate(session, prompt, { maxTokens: 40, K, ...penalty })).tokenIds, `K = ${K}, penalty`).toEqual(penalised);
    }
    expect(session.drafter.memory.featureBytes).toBeGreaterThan(0);
  });

  it.each(["eagle", "eagle-attention"])("is plain decoding's behind a hybrid target, of a shortlist too: %s", async (variant) => {
    const prompt = [3, 50, 60, 70, 9];
    const session = await diskSession(synthetic, hybrid, { kind: "lookup" }, 96);
    const expected = await plain(session, prompt);
    for (const shortlist of [0, 100]) {
      session.drafter = await diskDrafter(synthetic, hybrid, { kind: "model", variant, shortlist }, 96, session.runner);
      for (const K of lengths) expect((await speculate(session, prompt, { K })).tokenIds, `K = ${K}`).toEqual(expected);
    }
  });

  it("ends where plain decoding ends, also when cancelled, and leaves a conversation that goes on", async () => {
    const prompt = [3, 50, 60, 70, 9];
    const session = await diskSession(synthetic, hybrid, { kind: "model", variant: "eagle" }, 40);
    const expected = await plain(session, prompt, { maxTokens: 35 });
    for (const K of [1, 4, 8]) {
      const stop = expected[9]!;
      expect(await speculate(session, prompt, { K, stopTokens: new Set([stop]) })).toMatchObject({ finishReason: "stop", tokenIds: expected.slice(0, expected.indexOf(stop)) });
      for (const maxTokens of [1, 2, 7]) expect(await speculate(session, prompt, { K, maxTokens })).toMatchObject({ finishReason: "length", tokenIds: expected.slice(0, maxTokens) });
      expect(await speculate(session, prompt, { K, maxTokens: 99 })).toMatchObject({ finishReason: "context", tokenIds: expected });
      const canceller = new AbortController();
      const stream = session.run(prompt, options({ K, signal: canceller.signal }));
      for (let events = 0; events < 3; events++) await stream.next();
      canceller.abort(new DOMException("Cancelled", "AbortError"));
      const { finishReason, tokenIds } = await drain(stream);
      expect(finishReason).toBe("cancelled");
      expect(tokenIds).toEqual(expected.slice(0, tokenIds.length));
      const next = [...prompt, ...tokenIds, 9, 10]; // the next turn, on the states that both hold
      const answer = await speculate(session, next, { K, maxTokens: 8 });
      expect(answer.reusedTokens).toBeGreaterThan(prompt.length);
      expect(answer.tokenIds).toEqual(await plain(await diskSession(synthetic, hybrid, { kind: "lookup" }, 40), next, { maxTokens: 8 }));
    }
  });

  it("stays the target's through changes of the draft in mid conversation", async () => {
    const session = await diskSession(synthetic, hybrid, { kind: "lookup" }, 160);
    const fresh = await diskSession(synthetic, hybrid, { kind: "lookup" }, 160);
    let text = [3, 50, 60, 70, 9];
    const drafts: DraftChoice[] = [{ kind: "model", variant: "eagle" }, { kind: "model", variant: "small" }, { kind: "model", variant: "eagle-attention" }, { kind: "lookup" }, { kind: "model", variant: "eagle" }];
    for (const [turn, draft] of drafts.entries()) {
      await session.drafter.dispose();
      session.drafter = await diskDrafter(synthetic, hybrid, draft, 160, session.runner);
      const expected = await plain(fresh, text, { maxTokens: 12 });
      expect((await speculate(session, text, { maxTokens: 12, K: 3 })).tokenIds).toEqual(expected);
      // Once more, from the snapshot; then the conversation goes on behind what was read last, or behind the prompt.
      expect((await speculate(session, text, { maxTokens: 12, K: 5 })).tokenIds).toEqual(expected);
      text = [...text, ...expected.slice(0, turn % 2 === 0 ? 12 : 4), 7 + turn];
    }
  });
});

/** Each token that a draft read, with its features, as they stand after what was taken back. */
class Reading {
  tokens: number[] = [];
  rows: number[][] = [];

  add(tokens: readonly number[], features: Float32Array): void {
    tokens.forEach((token, index) => {
      this.tokens.push(token);
      this.rows.push(Array.from(features.subarray(index * WIDTH, (index + 1) * WIDTH)));
    });
  }

  cut(length: number): void {
    this.tokens.length = Math.min(this.tokens.length, length);
    this.rows.length = this.tokens.length;
  }
}

/** The features that the contract says, from passes over the whole text: true ones for what a cycle begins with, the draft's own for its steps. */
class Reference {
  readonly read = new Reading();

  constructor(
    private readonly target: RollbackRunner,
    private readonly draft: RollbackRunner,
  ) {}

  async cycle(tokens: readonly number[], count: number): Promise<number[]> {
    let same = 0;
    while (same < this.read.tokens.length && this.read.tokens[same] === tokens[same]) same++;
    this.read.cut(same);
    this.target.reset();
    await this.target.forward(tokens.slice(0, -1));
    const news = tokens.slice(same);
    this.read.add(news, this.target.hiddenStates!.before(same, news.length));
    const drafts: number[] = [];
    for (;;) {
      this.draft.reset();
      const logits = await this.draft.forward(this.read.tokens, Float32Array.from(this.read.rows.flat()));
      const token = best(logits.subarray(logits.length - VOCABULARY));
      drafts.push(token);
      if (drafts.length === count) return drafts;
      this.read.add([token], this.draft.hiddenStates!.before(this.draft.position, 1));
    }
  }
}

describe.each(["eagle", "eagle-attention"])("%s", (variant) => {
  it("reads true features where the target has read, its own in its steps, and keeps what was right", async () => {
    const rollback = { rollback: true, span: 9, contextLength: 128 };
    const open = (): Promise<RollbackRunner> => syntheticRunner(synthetic, draftLayers(variant), rollback);
    const target = await syntheticRunner(synthetic, hybrid, { ...rollback, hidden: true });
    const reference = new Reference(await syntheticRunner(synthetic, hybrid, { hidden: true, contextLength: 128 }), await syntheticRunner(synthetic, draftLayers(variant), { contextLength: 128 }));
    const drafter = new ModelDrafter(await open(), { features: target });
    const token = fc.integer({ min: 0, max: VOCABULARY - 1 });
    const cycle = fc.record({ count: fc.integer({ min: 1, max: 8 }), accepted: fc.integer({ min: 0, max: 8 }), own: token, idle: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(token, { minLength: 1, maxLength: 12 }), fc.array(cycle, { minLength: 1, maxLength: 5 }), async (prompt, cycles) => {
        drafter.clear();
        reference.read.cut(0);
        target.reset();
        await target.forward(prompt);
        await drafter.begin(prompt, 1, {});
        reference.read.add(prompt, target.hiddenStates!.before(0, prompt.length));
        let tokens = [...prompt, 5];
        for (const { count, accepted, own, idle } of cycles) {
          let added = [own];
          if (!idle) {
            const expected = await reference.cycle(tokens, count);
            const drafts = (await drafter.draft(tokens, { count, sampling: greedy, goOn: () => true })).map((draft) => draft.token);
            expect(drafts).toEqual(expected);
            added = [...drafts.slice(0, accepted), own];
          }
          await target.forward([tokens.at(-1)!, ...added.slice(0, -1)]);
          tokens = [...tokens, ...added];
        }
      }),
      { numRuns: 25, seed: 4 },
    );
  });
});

describe("features that are not there", () => {
  it("are told by an error, not read as something else", async () => {
    const hidden = { rollback: true, span: 9, contextLength: 64, hidden: true };
    const target = await syntheticRunner(synthetic, hybrid, hidden);
    const drafter = (await diskDrafter(synthetic, hybrid, { kind: "model", variant: "eagle" }, 64, target)) as ModelDrafter;
    const request = { count: 2, sampling: greedy, goOn: () => true };
    await target.forward([1, 2, 3]);
    await drafter.begin([1, 2, 3], 1, {});
    expect(await drafter.draft([1, 2, 3, 4], request)).toHaveLength(2);
    await expect(drafter.draft([1, 2, 3, 4, 5, 6], request)).rejects.toThrow(RuntimeError); // of which the target has read three
    target.reset();
    await expect(drafter.draft([1, 2, 3, 4], request)).rejects.toThrow("the target has read 0");
    await target.read([1, 2, 3], { rows: "all", more: false });
    expect(() => targetFeatures(target, 0, 3)).toThrow(RuntimeError); // which may be taken back
    target.keep(2);
    expect(targetFeatures(target, 0, 3)).toHaveLength(3 * WIDTH);

    const blind = await syntheticRunner(synthetic, hybrid, { ...hidden, hidden: false });
    await expect((await diskDrafter(synthetic, hybrid, { kind: "model", variant: "eagle" }, 64, blind)).begin([1, 2], 1, {})).rejects.toThrow("loaded without them");
    await expect(diskDrafter(synthetic, hybrid, { kind: "model", variant: "eagle" }, 64)).rejects.toThrow("needs its target");
  });
});
