/** How many tokens to draft, and how many of them to verify. */
import type { Draft } from "./acceptance";
import type { CycleTimings } from "./types";

export type CycleReport = {
  /** The most tokens that the drafter was asked for. */
  readonly asked: number;
  readonly drafts: readonly Draft[];
  /** How many of the drafts the target read. */
  readonly verified: number;
  readonly accepted: number;
  /** Length of the match that the drafts were copied behind; 0: a drafter was asked. */
  readonly match?: number;
  readonly timings: CycleTimings;
};

export interface DraftLength {
  /** The most tokens that a cycle may draft at no cost. */
  readonly most: number;
  /** The most tokens to draft in the next cycle. */
  next(): number;
  /** Whether another draft behind these is worth its time. */
  goOn(drafts: readonly Draft[]): boolean;
  /** How many of these to verify. `match`: as in a report. */
  cut(drafts: readonly Draft[], match?: number): number;
  observe(report: CycleReport): void;
  /** The tokens to draft in the next cycle where that must be known before it begins: none, one of CHAINED_LENGTHS, or a fixed number. */
  ahead(): number;
  /** As `observe`, for such a cycle. */
  observeChained(report: CycleReport): void;
}

/** Lengths between which adaptive cycles choose where draft and verification are submitted at once: each has a graph, with weights of its own. */
export const CHAINED_LENGTHS: readonly number[] = [1, 2, 4, 8];

/** Always `K` tokens, 1 to MAX_DRAFTED. */
export function fixedLength(K: number): DraftLength {
  return { most: K, next: () => K, goOn: () => true, cut: (drafts) => drafts.length, observe: () => undefined, ahead: () => K, observeChained: () => undefined };
}
