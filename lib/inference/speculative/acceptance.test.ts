import { describe, expect, it } from "vitest";
import { Random } from "../random";
import type { SamplingOptions } from "../sampler";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { decide, type Draft } from "./acceptance";
import { denseDistribution, drawFrom, probabilityOf } from "./probability";
import type { SpeculativeSession } from "./session";
import { diskSession } from "./testing";
import type { DraftChoice } from "./types";

const sampling = (changes: Partial<SamplingOptions> = {}): SamplingOptions => ({ temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, ...changes });
const logitsOf = (size: number, seed: number, scale = 2): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: size }, () => scale * (random.next() - 0.5) * 2);
};

/** Pearson's statistic of counts against probabilities, and its 99.9 % quantile (Wilson and Hilferty's approximation). */
function chiSquared(counts: readonly number[], probabilities: ArrayLike<number>): { statistic: number; limit: number } {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let [statistic, degrees] = [0, -1];
  counts.forEach((count, token) => {
    const expected = total * (probabilities[token] ?? 0);
    if (expected === 0) return expect(count).toBe(0);
    statistic += (count - expected) ** 2 / expected;
    degrees++;
  });
  return { statistic, limit: degrees * (1 - 2 / (9 * degrees) + 3.09 * Math.sqrt(2 / (9 * degrees))) ** 3 };
}

describe("rejection sampling keeps the target's distribution", () => {
  const size = 12;
  const context = [3, 3, 7];
  const [target, draft] = [logitsOf(size, 1), logitsOf(size, 2)];
  const cases: [string, SamplingOptions, boolean][] = [
    ["drawn drafts", sampling(), false],
    ["certain drafts", sampling(), true],
    ["a low temperature and top-p", sampling({ temperature: 0.6, topP: 0.8 }), false],
    ["top-k and a penalty", sampling({ topK: 5, repetitionPenalty: 1.8 }), false],
    ["min-p, certain drafts", sampling({ minP: 0.2, temperature: 1.5 }), true],
  ];
  it.each(cases)("%s", (_, options, certain) => {
    const random = new Random(11);
    const drafting = new Random(12);
    const p = denseDistribution(target, context, options);
    const q = denseDistribution(draft, context, options);
    const counts = new Array<number>(size).fill(0);
    for (let round = 0; round < 20_000; round++) {
      const token = certain ? 3 : drawFrom(q, 1, drafting);
      const drafts: Draft[] = [certain ? { token, q: 1, distribution: null } : { token, q: q[token]!, distribution: q }];
      const { accepted, token: own } = decide(drafts, () => target, context, { sampling: options, random, probabilities: true });
      counts[accepted > 0 ? token : own]!++;
    }
    const { statistic, limit } = chiSquared(counts, p);
    expect(statistic).toBeLessThan(limit);
    const { statistic: wrong } = chiSquared(counts, denseDistribution(target, context, { ...options, temperature: options.temperature * 1.3 }));
    expect(wrong).toBeGreaterThan(limit); // the test can tell another distribution
  });
});

describe("sampling from a tiny model", () => {
  // Two thirds of the tokens, in no order.
  const ranking = Uint32Array.from({ length: 21 }, (_, place) => (place * 13 + 4) % 32);
  // Whatever token comes first, it stood behind the 9 before, with another token behind it.
  const repeating = [...Array.from({ length: 32 }, (_, token) => [9, token, (token * 5 + 3) % 32]).flat(), 9];
  const drafts: [string, DraftChoice, number[]?][] = [
    ["tokens copied from the text", { kind: "layers", count: 1, shortlist: 0, lookup: true }, repeating],
    ["all tokens", { kind: "layers", count: 1, shortlist: 0 }],
    ["a shortlist of a ranking", { kind: "layers", count: 1, shortlist: 21 }],
    ["all tokens, by a draft on the target's features", { kind: "model", variant: "eagle", shortlist: 0 }],
  ];
  it.each(drafts)("gives the second and third tokens of plain sampling, over all seeds, drafting among %s", async (_, draft, prompt = [1, 2]) => {
    const architecture = tinyArchitecture({ vocab_size: 32, num_hidden_layers: 2 });
    const eagle = { shape: { num_hidden_layers: 1, intermediate_size: 64, features: true as const }, mixer: tinyMamba2() };
    const bundle = await syntheticBundle({ architecture, sets: { m: tinyMamba2() }, drafts: { eagle } });
    const ranked = { ...bundle, tokenRanking: () => Promise.resolve(ranking) };
    const session = await diskSession(ranked, bundle.config(["mamba2:m", "attention"]), draft, 128);
    const options = { sampling: sampling({ temperature: 0.7, topK: 4 }), maxTokens: 3, stopTokens: new Set<number>(), decode: String };
    const seconds = async (speculative: boolean, rounds: number, from: number): Promise<number[]> => {
      const counts = new Array<number>(32).fill(0);
      for (let seed = from; seed < from + rounds; seed++) {
        const answer = speculative ? session.run(prompt, { ...options, seed, K: 2, probabilities: false }) : session.plain(prompt, { ...options, seed });
        const { tokenIds } = await last(answer);
        counts[(tokenIds[1]! * 7 + tokenIds[2]!) % 32]!++; // both tokens, in as many classes as there are tokens
      }
      return counts;
    };
    const rounds = 1500;
    const [ours, plain] = [await seconds(true, rounds, 1), await seconds(false, rounds, 50_001)];
    let [statistic, degrees] = [0, -1]; // the two-sample form, over classes that are not too rare
    ours.forEach((count, index) => {
      const both = count + plain[index]!;
      if (both < 10) return;
      statistic += (count - plain[index]!) ** 2 / both;
      degrees++;
    });
    expect(degrees).toBeGreaterThan(4);
    expect(statistic).toBeLessThan(degrees * (1 - 2 / (9 * degrees) + 3.09 * Math.sqrt(2 / (9 * degrees))) ** 3);
    const again = await last(session.run(prompt, { ...options, seed: 5, K: 2, probabilities: false }));
    expect((await last(session.run(prompt, { ...options, seed: 5, K: 2, probabilities: false }))).tokenIds).toEqual(again.tokenIds);
  });
});

async function last(stream: ReturnType<SpeculativeSession["run"]> | ReturnType<SpeculativeSession["plain"]>): Promise<{ tokenIds: number[] }> {
  for (;;) {
    const step = await stream.next();
    if (step.done) return step.value;
  }
}

it("the probability of one token is the softmax's", () => {
  const logits = logitsOf(500, 4, 20);
  const exact = denseDistribution(logits, [], sampling());
  for (let token = 0; token < 500; token++) expect(Math.abs(probabilityOf(logits, token) - exact[token]!)).toBeLessThan(1e-6);
});
