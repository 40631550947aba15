import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../random";
import type { Draft } from "./acceptance";
import { AdaptiveLength, Costs } from "./length";
import { continuation } from "./lookup";
import { expectedTokens } from "./sweep";

/** A world in which each draft is accepted with chance `alpha`: returns tokens a millisecond of a rule for the number of drafts. */
function world(alpha: number, step: number, pass: (tokens: number) => number, cycles: number, adaptive: boolean, K = 0): number {
  const costs = new Costs();
  for (const tokens of [1, 5, 9]) costs.observeVerify(tokens, pass(tokens));
  const length = new AdaptiveLength(costs);
  const random = new Random(5);
  let [tokens, time] = [0, 0];
  for (let cycle = 0; cycle < cycles; cycle++) {
    const most = adaptive ? length.next() : K;
    const drafts: Draft[] = [];
    while (drafts.length < most) {
      drafts.push({ token: 1, q: 0.8, distribution: null });
      if (adaptive && !length.goOn(drafts)) break;
    }
    const verified = drafts.slice(0, adaptive ? length.cut(drafts) : K);
    let accepted = 0;
    while (accepted < verified.length && random.next() < alpha) accepted++;
    const timings = { draftMs: step * drafts.length, verifyMs: pass(verified.length + 1), readbackMs: 0, otherMs: 0.1 };
    if (adaptive) length.observe({ drafts: verified, drafted: drafts.length, accepted, timings });
    tokens += accepted + 1;
    time += timings.draftMs + timings.verifyMs + timings.otherMs;
  }
  return tokens / time;
}

describe("the adaptive length", () => {
  it("comes close to the best fixed length, whatever acceptance and costs", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 0.95, noNaN: true }), fc.double({ min: 0.02, max: 0.6, noNaN: true }), fc.double({ min: 0.02, max: 0.8, noNaN: true }), (alpha, step, slope) => {
        const pass = (tokens: number): number => 20 * (1 + slope * (tokens - 1));
        const best = Math.max(...Array.from({ length: 9 }, (_, K) => world(alpha, 20 * step, pass, 600, false, K)));
        expect(world(alpha, 20 * step, pass, 600, true)).toBeGreaterThan(0.85 * best);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it("tells a slow moment from a dear pass", () => {
    const costs = new Costs();
    for (const tokens of [1, 2, 5]) costs.observeVerify(tokens, 10 + 2 * tokens);
    const ratio = costs.pass(5) / costs.pass(1);
    for (let slow = 0; slow < 60; slow++) costs.observeVerify(1, 48);
    expect(costs.pass(1)).toBeGreaterThan(40);
    expect(costs.pass(5) / costs.pass(1)).toBeGreaterThan(0.5 * ratio); // though no pass of five was seen
    for (let dear = 0; dear < 200; dear++) costs.observeVerify(1 + (dear % 2), dear % 2 === 0 ? 12 : 36);
    expect(costs.pass(2) / costs.pass(1)).toBeGreaterThan(2);
  });

  it("reads costs between and beyond those measured", () => {
    const costs = new Costs();
    costs.observeVerify(1, 10);
    costs.observeVerify(5, 18);
    expect([1, 3, 5, 9].map((tokens) => costs.pass(tokens))).toEqual([10, 14, 18, 26]);
  });
});

describe("prompt lookup", () => {
  it("continues the longest suffix that occurred, the latest of several, and backs off", () => {
    expect(continuation([1, 2, 3, 9, 2, 3, 8, 1, 2, 3], 2, 8, 2)).toEqual([9, 2]);
    expect(continuation([2, 3, 9, 5, 2, 3, 8, 4, 2, 3], 2, 8, 2)).toEqual([8, 4]);
    expect(continuation([7, 3, 9, 5, 2, 3], 2, 8, 2)).toEqual([]);
    expect(continuation([7, 3, 9, 5, 2, 3], 2, 8, 1)).toEqual([9, 5]);
    expect(continuation([4, 6, 6, 6], 3, 8, 1)).toEqual([6, 6, 6]);
    expect(continuation([1, 2, 1, 2, 1, 2], 4, 8, 2)).toEqual([1, 2, 1, 2]);
  });

  it("drafts only what was behind a suffix", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 8 }), (tokens, count) => {
        const drafted = continuation(tokens, count, 6, 2);
        if (drafted.length === 0) return;
        expect(drafted).toHaveLength(count);
        const [a, b] = tokens.slice(-2);
        const places = tokens.flatMap((_, index) => (index >= 2 && tokens[index - 2] === a && tokens[index - 1] === b ? [tokens[index]] : []));
        expect(places).toContain(drafted[0]);
      }),
    );
  });
});

it("the theory's tokens a cycle", () => {
  expect(expectedTokens(0, 4)).toBe(1);
  expect(expectedTokens(1, 4)).toBe(5);
  expect(expectedTokens(0.5, 2)).toBe(1.75);
});
