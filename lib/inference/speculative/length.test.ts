import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../random";
import type { Draft } from "./acceptance";
import { AdaptiveLength } from "./adaptive";
import { Costs } from "./costs";
import { type DraftLength, fixedLength } from "./length";
import { MAX_DRAFTED } from "./types";

/** Drafts and verdicts as they may come, and what they cost; times in milliseconds. */
type World = {
  /** A draft's probability. */
  readonly q: (random: Random, place: number) => number;
  /** The chance that such a draft is accepted. */
  readonly chance: (q: number, place: number) => number;
  readonly step: number;
  readonly pass: (tokens: number) => number;
  /** Share by which measured times vary. */
  readonly noise?: number;
  /** What the session measures before the first cycle, in place of `pass`. */
  readonly measured?: (tokens: number) => number;
};

const OTHER = 0.4;

function costsOf(pass: World["pass"]): Costs {
  const costs = new Costs();
  for (const tokens of [1, 2, 3, 5, 9]) costs.observeVerify(tokens, pass(tokens));
  return costs;
}

/** Tokens a millisecond over so many cycles, the first ones included. */
function speed(world: World, cycles: number, lengthOf: (costs: Costs) => DraftLength, seed: number, told?: (drafts: readonly Draft[], verified: number) => void): number {
  const { q, chance, step, pass, noise = 0 } = world;
  const length = lengthOf(costsOf(world.measured ?? pass));
  const random = new Random(seed);
  const measured = (time: number): number => time * (1 + noise * (2 * random.next() - 1));
  let [tokens, time] = [0, 0];
  for (let cycle = 0; cycle < cycles; cycle++) {
    const asked = length.next();
    const drafts: Draft[] = [];
    while (drafts.length < asked) {
      drafts.push({ token: 1, q: q(random, drafts.length), distribution: null });
      if (drafts.length < asked && !length.goOn(drafts)) break;
    }
    const verified = length.cut(drafts);
    let accepted = 0;
    while (accepted < verified && random.next() < chance(drafts[accepted]!.q, accepted)) accepted++;
    const timings = { draftMs: measured(step * drafts.length), verifyMs: measured(pass(verified + 1)), readbackMs: 0, otherMs: OTHER };
    length.observe({ asked, drafts, verified, accepted, timings });
    told?.(drafts, verified);
    tokens += accepted + 1;
    time += timings.draftMs + timings.verifyMs + timings.otherMs;
  }
  return tokens / time;
}

const adaptive = (costs: Costs): DraftLength => new AdaptiveLength(costs, new Costs());
/** Against the best fixed length: that of none included. */
function gain(world: World, cycles: number): number {
  const best = Math.max(...Array.from({ length: MAX_DRAFTED + 1 }, (_, K) => speed(world, 8000, () => fixedLength(K), 11)));
  const seeds = [1, 2, 3, 4];
  return seeds.reduce((sum, seed) => sum + speed(world, cycles, adaptive, seed), 0) / seeds.length / best;
}

const line = (one: number, slope: number) => (tokens: number) => one * (1 + slope * (tokens - 1));
const unsure = (random: Random): number => 0.05 + 0.9 * random.next();
/** As measured of a draft of two layers: half its tokens are guesses, some are certain. */
const CHAT = [[0.05, 0.09], [0.15, 0.16], [0.25, 0.24], [0.35, 0.13], [0.45, 0.12], [0.55, 0.1], [0.65, 0.03], [0.75, 0.05], [0.97, 0.08]] as const;
const chat = (random: Random): number => {
  let rest = random.next();
  return CHAT.find(([, share]) => (rest -= share) < 0)?.[0] ?? 0.97;
};
const calibrated = (q: number): number => (q < 0.3 ? 0.5 * q : q > 0.9 ? 0.99 : 1.05 * q);

const informed: Record<string, World> = {
  "WebAssembly, chat": { q: chat, chance: calibrated, step: 3.3, pass: line(22, 0.2) },
  "WebAssembly, chat, times that vary": { q: chat, chance: calibrated, step: 3.3, pass: line(22, 0.2), noise: 0.4 },
  "a cheap draft": { q: unsure, chance: (q) => q, step: 1, pass: line(22, 0.2) },
  "a dear pass": { q: unsure, chance: (q) => q, step: 1, pass: line(22, 0.5) },
  "a step between one token and two": { q: unsure, chance: (q) => q ** 0.5, step: 1.5, pass: (tokens) => (tokens === 1 ? 10 : 16 + 0.5 * tokens) },
};
const uninformed: Record<string, World> = {
  "good drafts": { q: unsure, chance: () => 0.8, step: 3.3, pass: line(22, 0.2) },
  "poor drafts": { q: unsure, chance: () => 0.15, step: 3.3, pass: line(22, 0.2) },
  "drafts that hardly pay": { q: unsure, chance: () => 0.42, step: 3.3, pass: line(22, 0.2) },
  "flat passes": { q: unsure, chance: () => 0.6, step: 0.5, pass: line(10, 0.01) },
  "certain drafts": { q: () => 1, chance: (_, place) => (place === 0 ? 0.4 : 0.85), step: 0, pass: line(22, 0.2) },
  "drafts too dear": { q: unsure, chance: () => 0.5, step: 12, pass: line(22, 0.3) },
};

/** Where the first measurements mislead. */
const mismeasured: Record<string, World> = {
  "passes that seemed too dear": { q: unsure, chance: () => 0.6, step: 2, pass: line(22, 0.15), measured: line(14, 0.9) },
  "passes that seemed cheap": { q: unsure, chance: () => 0.3, step: 3, pass: line(22, 0.5), measured: line(22, 0.1) },
};

describe("the adaptive length", () => {
  it.each(Object.entries(informed))("is faster than any fixed one where the drafts' probabilities tell: %s", (_, world) => {
    expect(gain(world, 1200)).toBeGreaterThan(1);
  });

  it.each(Object.entries(uninformed))("is as fast as the best fixed one where they do not: %s", (_, world) => {
    expect(gain(world, 1200)).toBeGreaterThan(0.97);
  });

  it.each(Object.entries(mismeasured))("finds out what things cost: %s", (_, world) => {
    expect(gain(world, 1200)).toBeGreaterThan(0.95);
  });

  it("comes close to the best fixed one whatever acceptance and costs", () => {
    const share = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    fc.assert(
      fc.property(share(0.1, 0.95), share(0.02, 0.6), share(0.02, 0.8), (alpha, step, slope) => {
        expect(gain({ q: unsure, chance: () => alpha, step: 20 * step, pass: line(20, slope) }, 600)).toBeGreaterThan(0.93);
      }),
      { numRuns: 12, seed: 7 },
    );
  });

  it("takes drafting up again where the text becomes easier", () => {
    const verified: number[] = [];
    const world: World = { q: () => 0.5, chance: () => (verified.length < 600 ? 0.03 : 0.9), step: 3, pass: line(22, 0.2) };
    speed(world, 1200, adaptive, 8, (_, count) => verified.push(count));
    const mean = (from: number, to: number): number => verified.slice(from, to).reduce((sum, count) => sum + count, 0) / (to - from);
    expect(mean(300, 600)).toBeLessThan(0.05);
    expect(mean(750, 1200)).toBeGreaterThan(3);
  });

  it("verifies what is likely, and leaves out what is not", () => {
    const drafted: { readonly sure: boolean; readonly verified: boolean }[] = [];
    const world: World = { q: (random) => (random.next() < 0.5 ? 0.95 : 0.1), chance: (q) => q, step: 3, pass: line(22, 0.4) };
    speed(world, 600, adaptive, 3, ([first], count) => first && drafted.push({ sure: first.q > 0.5, verified: count > 0 }));
    const share = (sure: boolean): number => {
      const some = drafted.slice(100).filter((draft) => draft.sure === sure);
      expect(some.length).toBeGreaterThan(100);
      return some.filter(({ verified }) => verified).length / some.length;
    };
    expect(share(true)).toBeGreaterThan(0.99);
    expect(share(false)).toBeLessThan(0.05);
  });
});
