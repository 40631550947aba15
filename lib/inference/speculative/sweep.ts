/** Speed-up against K: each prompt at each K, with plain decoding in between as the baseline. */
import type { AnswerOptions, Answered, SpeculativeAnswered, SpeculativeSession } from "./session";
import type { Drafted, SweepPoint, SweepResult, SweepSummary } from "./types";

export type SweepPrompt = { readonly tokens: readonly number[]; readonly kind?: string | undefined };

export type SweepOptions = Omit<AnswerOptions, "onPrefill"> & {
  readonly K: readonly Drafted[];
  /** Plain decoding before each run, or once a prompt. */
  readonly baseline: "each" | "once";
  readonly onPoint?: (point: SweepPoint) => void;
};

/** A finished stream's result. */
export async function drain<T>(stream: AsyncGenerator<unknown, T, void>): Promise<T> {
  for (;;) {
    const step = await stream.next();
    if (step.done) return step.value;
  }
}

/** Runs all; an aborted signal throws its reason. */
export async function sweep(session: SpeculativeSession, prompts: readonly SweepPrompt[], { K, baseline, onPoint, ...options }: SweepOptions): Promise<SweepResult> {
  const points: SweepPoint[] = [];
  const runs: (SweepRun & { readonly K: Drafted })[] = [];
  for (const [index, { tokens, kind }] of prompts.entries()) {
    let plain: Answered | null = null;
    for (const length of K) {
      if (!plain || baseline === "each") plain = await drain(session.plain(tokens, options));
      options.signal?.throwIfAborted();
      const speculative = await drain(session.run(tokens, { ...options, K: length, probabilities: false }));
      options.signal?.throwIfAborted();
      runs.push({ K: length, plain, speculative });
      const [base, speed] = [speedOf([plain]), speedOf([speculative])];
      const point: SweepPoint = {
        K: length,
        prompt: index,
        kind: kind ?? null,
        tokens: speculative.tokenIds.length,
        plainTokensPerSecond: base,
        tokensPerSecond: speed,
        speedup: base > 0 ? speed / base : 0,
        exact: options.sampling.temperature === 0 ? String(plain.tokenIds) === String(speculative.tokenIds) : null,
        totals: speculative.totals,
      };
      points.push(point);
      onPoint?.(point);
    }
  }
  return { points, summaries: K.map((length) => summarise(length, runs.filter((run) => run.K === length))) };
}

export type SweepRun = { readonly plain: Answered; readonly speculative: SpeculativeAnswered };

/** What the runs of one K found, together. */
export function summarise(K: Drafted, runs: readonly SweepRun[]): SweepSummary {
  const totals = runs.map(({ speculative }) => speculative.totals);
  const sum = (of: (total: (typeof totals)[number]) => number): number => totals.reduce((all, total) => all + of(total), 0);
  const cycles = sum((total) => total.cycles);
  const decided = sum(({ byPosition }) => byPosition.reduce((count, entry) => count + entry.decided, 0));
  const acceptance = decided > 0 ? sum(({ accepted }) => accepted) / decided : 0;
  const [tokensPerSecond, plainTokensPerSecond] = [speedOf(runs.map(({ speculative }) => speculative)), speedOf(runs.map(({ plain }) => plain))];
  const cycleMs = sum(({ timings }) => timings.draftMs + timings.verifyMs + timings.readbackMs + timings.otherMs) / Math.max(1, cycles);
  const costRatio = (cycleMs * plainTokensPerSecond) / 1000;
  const theory = K === "adaptive" ? null : expectedTokens(acceptance, K);
  return {
    K,
    speedup: plainTokensPerSecond > 0 ? tokensPerSecond / plainTokensPerSecond : 0,
    tokensPerSecond,
    plainTokensPerSecond,
    acceptance,
    tokensPerCycle: cycles > 0 ? sum((total) => total.tokensPerCycle * total.cycles) / cycles : 0,
    theoryTokensPerCycle: theory,
    costRatio,
    theorySpeedup: theory === null || costRatio === 0 ? null : theory / costRatio,
  };
}

/** (1 - α^(K+1)) / (1 - α): tokens a cycle if each draft is accepted with chance α (Leviathan et al., 2023, equation 1). */
export const expectedTokens = (acceptance: number, K: number): number => (acceptance >= 1 ? K + 1 : (1 - acceptance ** (K + 1)) / (1 - acceptance));

/** Tokens behind the first over seconds, all answers together. */
function speedOf(answers: readonly Answered[]): number {
  const tokens = answers.reduce((sum, { tokenIds }) => sum + Math.max(0, tokenIds.length - 1), 0);
  const milliseconds = answers.reduce((sum, { decodeMs }) => sum + decodeMs, 0);
  return milliseconds > 0 ? (1000 * tokens) / milliseconds : 0;
}
