/** Lengths by what measured costs and learnt chances make worth it. */
import type { Draft } from "./acceptance";
import { Chances } from "./chances";
import { Confidences } from "./confidences";
import type { Costs } from "./costs";
import { surenessOf } from "./lookup";
import { CHAINED_LENGTHS, type CycleReport, type DraftLength } from "./length";
import { type Likely, Plan } from "./plan";
import { type CycleTimings, MAX_DRAFTED } from "./types";

/** Cycles in a row without a verified draft until one is verified to see: first, and at most, after tries that went as expected. */
const [FIRST_TRY, LAST_TRY] = [4, 64];
/** A draft of a lower chance is not expected to be accepted. */
const SURPRISE = 0.3;
/** Weight of the newest cycle in the share of those that found a draft. */
const MEMORY = 0.05;

/**
 * Drafts as long as that is worth its time by a `Plan`, and verifies as many of the drafts as their own probabilities make worth it, perhaps none.
 * Both are told by the same two: `Costs`, and the `Chances` that a draft of this probability is accepted.
 */
export class AdaptiveLength implements DraftLength {
  readonly most = MAX_DRAFTED;
  private readonly chances = new Chances();
  /** Of copied drafts, whose probability a match tells. */
  private readonly copies = new Chances();
  /** Of first drafts and of later ones. */
  private readonly confidences = [new Confidences(), new Confidences()] as const;
  private plan: Plan | null = null;
  private found = 1;
  private idle = 0;
  private patience = FIRST_TRY;
  private trying = false;

  /** `chained`: what whole cycles of CHAINED_LENGTHS take, by the number of drafts. */
  constructor(
    private readonly costs: Costs,
    private readonly chained: Costs,
  ) {}

  next(): number {
    const { costs, found } = this;
    const world = { pass: costs.pass.bind(costs), drafting: costs.drafting.bind(costs), other: costs.other, first: this.likely(0), later: this.likely(1), found };
    const worth = this.plan ? this.plan.rate : 1 / (costs.pass(1) + costs.other);
    this.plan = new Plan(world, worth);
    const pays = this.plan.gain(0, 1) > 0;
    this.trying = this.isTime();
    return pays ? MAX_DRAFTED : this.trying ? 1 : 0;
  }

  goOn(drafts: readonly Draft[]): boolean {
    return (this.plan?.gain(drafts.length, this.reachOf(drafts)) ?? 0) > 0;
  }

  cut(drafts: readonly Draft[], match = 0): number {
    if (this.trying && match === 0) return drafts.length;
    const { costs } = this;
    const worth = this.plan?.rate ?? 0;
    let [reach, gain, most, count] = [1, 0, 0, 0];
    drafts.forEach((draft, place) => {
      reach *= match > 0 ? this.copies.of(surenessOf(match, place), place) : this.chances.of(draft.q, place);
      gain += reach - worth * (costs.pass(place + 2) - costs.pass(place + 1));
      if (gain > most) [most, count] = [gain, place + 1];
    });
    return count;
  }

  observe(report: CycleReport): void {
    const { costs } = this;
    const { drafts, verified, match = 0, timings } = report;
    costs.observeVerify(verified + 1, timings.verifyMs + timings.readbackMs);
    costs.observeOther(timings.otherMs);
    if (match > 0) return decided(this.copies, drafts.map((_, place) => surenessOf(match, place)), report);
    costs.observeDrafts(drafts.length, timings.draftMs);
    this.learn(report);
  }

  /** The length of most tokens a millisecond where no draft's probability is known; none where a pass without drafts has more, but for a try at times. */
  ahead(): number {
    const [first, later] = [mean(this.likely(0)), mean(this.likely(1))];
    const rate = (drafts: number): number => {
      let [expected, reach] = [1, first];
      for (let place = 0; place < drafts; place++, reach *= later) expected += reach;
      return expected / this.chained.pass(drafts);
    };
    const best = CHAINED_LENGTHS.reduce((one, other) => (rate(other) > rate(one) ? other : one));
    if (rate(best) > 1 / (this.costs.pass(1) + this.costs.other)) return best;
    return this.isTime() ? best : 0;
  }

  observeChained(report: CycleReport): void {
    this.chained.observeVerify(report.asked, totalOf(report.timings));
    this.learn(report);
  }

  /** Whether nothing was verified for so long that it is to be seen whether that is still right. */
  private isTime(): boolean {
    return this.idle >= this.patience;
  }

  private learn(report: CycleReport): void {
    const { asked, drafts, verified, accepted } = report;
    const surprise = accepted > 0 && this.chances.of(drafts[0]?.q ?? 1, 0) < SURPRISE;
    if (asked > 0) this.found += MEMORY * ((drafts.length > 0 ? 1 : 0) - this.found);
    for (const [place, draft] of drafts.entries()) this.confidences[place > 0 ? 1 : 0].add(draft.q);
    decided(this.chances, drafts.map(({ q }) => q), report);
    if (verified === 0) this.idle++;
    else {
      this.patience = this.isTime() && !surprise ? Math.min(LAST_TRY, 2 * this.patience) : FIRST_TRY;
      this.idle = 0;
    }
  }

  private likely(place: 0 | 1): Likely[] {
    return this.confidences[place].all.map(({ q, share }) => ({ chance: this.chances.of(q, place), share }));
  }

  private reachOf(drafts: readonly Draft[]): number {
    return drafts.reduce((product, { q }, place) => product * this.chances.of(q, place), 1);
  }
}

/** A cycle's decisions, as far as there were any, on drafts of these probabilities. */
function decided(chances: Chances, qs: readonly number[], { verified, accepted }: Pick<CycleReport, "verified" | "accepted">): void {
  for (const [place, q] of qs.slice(0, Math.min(verified, accepted + 1)).entries()) chances.learn({ q }, place, place < accepted);
  chances.age();
}

const mean = (likely: readonly Likely[]): number => likely.reduce((sum, { chance, share }) => sum + share * chance, 0);
const totalOf = ({ draftMs, verifyMs, readbackMs, otherMs }: CycleTimings): number => draftMs + verifyMs + readbackMs + otherMs;
