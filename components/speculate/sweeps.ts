/** Sweeps over K: what is kept of them, and what a chart draws of their points. */
import { z } from "zod";
import type { Drafted, SweepPoint } from "@/workers/speculative-protocol";

const pointSchema = z.object({
  K: z.union([z.number().int().positive(), z.literal("adaptive")]),
  kind: z.string().nullable(),
  tokens: z.number(),
  /** Seconds of plain and of speculative decoding. */
  plainSeconds: z.number(),
  seconds: z.number(),
  exact: z.boolean().nullable(),
  cycles: z.number(),
  decided: z.number(),
  accepted: z.number(),
  cycleTokens: z.number(),
  /** Drafts decided and accepted by place in the cycle. */
  byPosition: z.array(z.tuple([z.number(), z.number()])),
});
export type Point = z.infer<typeof pointSchema>;

export const sweepSchema = z.object({
  id: z.string(),
  family: z.string(),
  target: z.string(),
  draft: z.string(),
  /** Where it ran, such as `WebAssembly, 2 threads`. */
  device: z.string(),
  temperature: z.number(),
  date: z.string(),
  /** False: it was stopped before its end. */
  complete: z.boolean(),
  points: z.array(pointSchema),
});
export type Sweep = z.infer<typeof sweepSchema>;

/** What a chart needs of a measured point. */
export function keepPoint({ K, kind, tokens, plainTokensPerSecond, tokensPerSecond, exact, totals }: SweepPoint): Point {
  const decided = totals.byPosition.reduce((sum, place) => sum + place.decided, 0);
  const timed = Math.max(tokens - 1, 0); // the first token comes with the prompt
  return {
    K,
    kind,
    tokens,
    plainSeconds: plainTokensPerSecond > 0 ? timed / plainTokensPerSecond : 0,
    seconds: tokensPerSecond > 0 ? timed / tokensPerSecond : 0,
    exact,
    cycles: totals.cycles,
    decided,
    accepted: totals.accepted,
    cycleTokens: totals.tokensPerCycle * totals.cycles,
    byPosition: totals.byPosition.map(({ decided: of, accepted }) => [of, accepted]),
  };
}

export type Summary = {
  readonly K: Drafted;
  readonly prompts: number;
  /** Speculative over plain decoding's tokens a second, all prompts together. */
  readonly speedup: number;
  readonly tokensPerSecond: number;
  readonly plainTokensPerSecond: number;
  /** Accepted drafts over those decided. */
  readonly acceptance: number;
  readonly tokensPerCycle: number;
  /** A cycle's time over that of a plain token, measured. */
  readonly costRatio: number;
  /** Tokens a cycle and speed-up if each draft is accepted with chance `acceptance` (arXiv 2211.17192, equation 1). Null for adaptive K. */
  readonly theory: { readonly tokensPerCycle: number; readonly speedup: number } | null;
};

/** Expected tokens of a cycle of K drafts, each accepted with chance `acceptance`: (1 - a^(K+1)) / (1 - a). */
export function expectedTokens(acceptance: number, K: number): number {
  return acceptance >= 1 ? K + 1 : (1 - acceptance ** (K + 1)) / (1 - acceptance);
}

const sum = (points: readonly Point[], of: (point: Point) => number): number => points.reduce((total, point) => total + of(point), 0);

/** One summary a K, in order of K, adaptive last. */
export function summarise(points: readonly Point[]): Summary[] {
  const order = (K: Drafted): number => (K === "adaptive" ? Infinity : K);
  const all = [...new Set(points.map(({ K }) => K))].sort((one, other) => order(one) - order(other));
  return all.map((K) => {
    const own = points.filter((point) => point.K === K);
    const tokens = sum(own, (point) => Math.max(point.tokens - 1, 0));
    const [plainSeconds, seconds] = [sum(own, (point) => point.plainSeconds), sum(own, (point) => point.seconds)];
    const [cycles, cycleTokens] = [sum(own, (point) => point.cycles), sum(own, (point) => point.cycleTokens)];
    const acceptance = ratio(sum(own, (point) => point.accepted), sum(own, (point) => point.decided));
    const costRatio = ratio(ratio(seconds, cycles), ratio(plainSeconds, tokens));
    const expected = K === "adaptive" ? null : expectedTokens(acceptance, K);
    return {
      K,
      prompts: own.length,
      speedup: ratio(plainSeconds, seconds),
      tokensPerSecond: ratio(tokens, seconds),
      plainTokensPerSecond: ratio(tokens, plainSeconds),
      acceptance,
      tokensPerCycle: ratio(cycleTokens, cycles),
      costRatio,
      theory: expected === null ? null : { tokensPerCycle: expected, speedup: ratio(expected, costRatio) },
    };
  });
}

const ratio = (one: number, other: number): number => (other > 0 ? one / other : 0);

/** Acceptance by kind of prompt, over all K of a sweep; kinds in the order in which they came. */
export function byKind(points: readonly Point[]): { kind: string; decided: number; acceptance: number }[] {
  const kinds = [...new Set(points.flatMap(({ kind }) => (kind === null ? [] : [kind])))];
  return kinds.map((kind) => {
    const own = points.filter((point) => point.kind === kind);
    const decided = sum(own, (point) => point.decided);
    return { kind, decided, acceptance: ratio(sum(own, (point) => point.accepted), decided) };
  });
}

/** Acceptance by place in the cycle, from 1: the chance that a draft is accepted if all before it were. */
export function byPosition(places: readonly (readonly (readonly [number, number])[])[]): { position: number; decided: number; acceptance: number }[] {
  const longest = Math.max(0, ...places.map((cycle) => cycle.length));
  return Array.from({ length: longest }, (_, index) => {
    const decided = places.reduce((total, cycle) => total + (cycle[index]?.[0] ?? 0), 0);
    const accepted = places.reduce((total, cycle) => total + (cycle[index]?.[1] ?? 0), 0);
    return { position: index + 1, decided, acceptance: ratio(accepted, decided) };
  });
}
