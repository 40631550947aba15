import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byKind, byPosition, expectedTokens, keepPoint, type Point, summarise, sweepSchema } from "./sweeps";

const point = (change: Partial<Point>): Point => ({
  K: 2,
  kind: "story",
  tokens: 31,
  plainSeconds: 3,
  seconds: 2,
  exact: true,
  cycles: 15,
  decided: 24,
  accepted: 15,
  cycleTokens: 30,
  byPosition: [[15, 10], [10, 5]],
  ...change,
});

describe("a sweep's summary", () => {
  it("puts all prompts of a K together, and theory beside them", () => {
    const [first, last] = summarise([point({ K: "adaptive" }), point({}), point({ tokens: 11, plainSeconds: 1, seconds: 2, cycles: 5, decided: 6, accepted: 3, cycleTokens: 10 })]);
    expect(first).toMatchObject({ K: 2, prompts: 2, speedup: 1, tokensPerSecond: 10, plainTokensPerSecond: 10, acceptance: 0.6, tokensPerCycle: 2, costRatio: 2 });
    expect(first?.theory?.tokensPerCycle).toBeCloseTo(1 + 0.6 + 0.36, 12);
    expect(first?.theory?.speedup).toBeCloseTo(1.96 / 2, 12);
    expect(last).toMatchObject({ K: "adaptive", theory: null });
  });

  it("is the tokens a cycle over its cost, whatever was measured", () => {
    const measured = fc.record({ cycles: fc.integer({ min: 1, max: 99 }), perCycle: fc.double({ min: 1, max: 9, noNaN: true }), plainSeconds: fc.double({ min: 0.1, max: 9, noNaN: true }), seconds: fc.double({ min: 0.1, max: 9, noNaN: true }) });
    fc.assert(
      fc.property(measured, ({ cycles, perCycle, plainSeconds, seconds }) => {
        const tokens = cycles * perCycle;
        const [found] = summarise([point({ cycles, cycleTokens: tokens, tokens: tokens + 1, plainSeconds, seconds })]);
        expect(found!.speedup).toBeCloseTo(found!.tokensPerCycle / found!.costRatio, 8);
      }),
    );
  });

  it("says nothing of nothing", () => {
    expect(summarise([])).toEqual([]);
    expect(summarise([point({ tokens: 0, plainSeconds: 0, seconds: 0, cycles: 0, decided: 0, accepted: 0, cycleTokens: 0 })])[0]).toMatchObject({ speedup: 0, acceptance: 0, costRatio: 0 });
  });
});

describe("expected tokens", () => {
  it("are the sum of the chances that each place is reached", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 8 }), (acceptance, K) => {
        const sum = Array.from({ length: K + 1 }, (_, index) => acceptance ** index).reduce((a, b) => a + b);
        expect(expectedTokens(acceptance, K)).toBeCloseTo(sum, 6);
      }),
    );
  });
});

describe("acceptance", () => {
  it("by kind counts drafts, not prompts", () => {
    const points = [point({ decided: 10, accepted: 9 }), point({ decided: 30, accepted: 3 }), point({ kind: "code", decided: 4, accepted: 1 }), point({ kind: null })];
    expect(byKind(points)).toEqual([{ kind: "story", decided: 40, acceptance: 0.3 }, { kind: "code", decided: 4, acceptance: 0.25 }]);
  });

  it("by position is conditional on all places before", () => {
    expect(byPosition([[[10, 8], [8, 2]], [[10, 2]], []])).toEqual([{ position: 1, decided: 20, acceptance: 0.5 }, { position: 2, decided: 8, acceptance: 0.25 }]);
    expect(byPosition([])).toEqual([]);
  });
});

it("what is kept of a measured point can be stored and read", () => {
  const totals = {
    cycles: 5,
    tokens: 11,
    drafted: 10,
    accepted: 5,
    acceptance: 0.625,
    byPosition: [{ position: 1, decided: 5, accepted: 3 }, { position: 2, decided: 3, accepted: 2 }],
    acceptedLengths: [2, 1, 2],
    tokensPerCycle: 2,
    tokensPerSecond: 20,
    readBacks: 15,
    timings: { draftMs: 1, verifyMs: 2, readbackMs: 0, otherMs: 0 },
  };
  const kept = keepPoint({ K: 2, prompt: 0, kind: null, tokens: 11, plainTokensPerSecond: 10, tokensPerSecond: 20, speedup: 2, exact: true, totals });
  expect(kept).toMatchObject({ plainSeconds: 1, seconds: 0.5, decided: 8, accepted: 5, cycleTokens: 10, byPosition: [[5, 3], [3, 2]] });
  expect(summarise([kept])[0]?.speedup).toBe(2);
  const sweep = { id: "a", family: "f", target: "t", draft: "d", device: "w", temperature: 0, date: "2026-01-01", complete: true, points: [kept] };
  expect(sweepSchema.parse(JSON.parse(JSON.stringify(sweep)))).toEqual(sweep);
});
