/** A run's text, token by token, with how each came about. */
import type { Cycle, PlainToken, TokenTag } from "@/workers/speculative-protocol";

export type AnswerToken = {
  readonly text: string;
  readonly token: number;
  /** `prompt`: the first one, which the target gave with the prompt. */
  readonly tag: TokenTag | "prompt";
  /** Index of its cycle; null for the first token. */
  readonly cycle: number | null;
};

export function answerTokens(first: PlainToken | null, cycles: readonly Cycle[]): AnswerToken[] {
  const head: AnswerToken[] = first ? [{ text: first.text, token: first.token, tag: "prompt", cycle: null }] : [];
  return [...head, ...cycles.flatMap(({ index, tokens }) => tokens.map((token) => ({ ...token, cycle: index })))];
}

export const tagNames: Readonly<Record<AnswerToken["tag"], string>> = {
  accepted: "accepted draft",
  corrected: "correction",
  bonus: "bonus",
  prompt: "with the prompt",
};

/** Totals so far, while a run goes on. */
export function progressOf(cycles: readonly Cycle[]): { cycles: number; drafted: number; decided: number; accepted: number; tokens: number; milliseconds: number; lengths: number[] } {
  const lengths: number[] = [];
  let [drafted, decided, accepted, tokens, milliseconds] = [0, 0, 0, 0, 0];
  for (const cycle of cycles) {
    drafted += cycle.drafts.length;
    decided += cycle.drafts.filter((draft) => draft.accepted !== null).length;
    accepted += cycle.accepted;
    tokens += cycle.tokens.length;
    milliseconds += cycleMs(cycle);
    lengths[cycle.accepted] = (lengths[cycle.accepted] ?? 0) + 1;
  }
  return { cycles: cycles.length, drafted, decided, accepted, tokens, milliseconds, lengths: Array.from(lengths, (count) => count ?? 0) };
}

/** What a cycle took, without the pauses of slow motion. */
export function cycleMs({ timings }: Pick<Cycle, "timings">): number {
  return timings.draftMs + timings.verifyMs + timings.readbackMs + timings.otherMs;
}
