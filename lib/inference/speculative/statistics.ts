/** Counts over the cycles of a run. */
import { type Cycle, type CycleTimings, MAX_DRAFTED, type PositionAcceptance, type Totals } from "./types";

export class Statistics {
  private cycles = 0;
  private drafted = 0;
  private accepted = 0;
  private readonly decidedAt = new Array<number>(MAX_DRAFTED).fill(0);
  private readonly acceptedAt = new Array<number>(MAX_DRAFTED).fill(0);
  private readonly lengths = new Array<number>(MAX_DRAFTED + 1).fill(0);
  private tokensOfCycles = 0;
  private readBacks = 0;
  private readonly timings: Record<keyof CycleTimings, number> = { draftMs: 0, verifyMs: 0, readbackMs: 0, otherMs: 0 };

  add({ drafts, accepted, tokens, timings, readBacks }: Pick<Cycle, "drafts" | "accepted" | "tokens" | "timings" | "readBacks">): void {
    this.cycles++;
    this.drafted += drafts.length;
    this.accepted += accepted;
    this.lengths[accepted]!++;
    this.tokensOfCycles += tokens.length;
    this.readBacks += readBacks;
    drafts.forEach((draft, index) => {
      if (draft.accepted === null) return;
      this.decidedAt[index]!++;
      if (draft.accepted) this.acceptedAt[index]!++;
    });
    for (const key of ["draftMs", "verifyMs", "readbackMs", "otherMs"] as const) this.timings[key] += timings[key];
  }

  /** `tokens` of the answer in all, in `milliseconds`. */
  totals(tokens: number, milliseconds: number): Totals {
    const decided = this.decidedAt.reduce((sum, count) => sum + count, 0);
    const byPosition = this.decidedAt.map((count, index): PositionAcceptance => ({ position: index + 1, decided: count, accepted: this.acceptedAt[index]! }));
    return {
      cycles: this.cycles,
      tokens,
      drafted: this.drafted,
      accepted: this.accepted,
      acceptance: decided > 0 ? this.accepted / decided : 0,
      byPosition: byPosition.filter((entry) => entry.decided > 0),
      acceptedLengths: [...this.lengths],
      tokensPerCycle: this.cycles > 0 ? this.tokensOfCycles / this.cycles : 0,
      tokensPerSecond: tokens > 1 && milliseconds > 0 ? ((tokens - 1) * 1000) / milliseconds : 0,
      readBacks: this.readBacks,
      timings: { ...this.timings },
    };
  }
}
