/** How many tokens to draft: a fixed number, or what measured costs and acceptance make worth it. */
import type { Draft } from "./acceptance";
import { type CycleTimings, MAX_DRAFTED } from "./types";

export type CycleReport = {
  readonly drafts: readonly Draft[];
  /** Tokens that were drafted, of which `drafts` were verified. */
  readonly drafted: number;
  readonly accepted: number;
  readonly timings: CycleTimings;
};

export interface DraftLength {
  /** The most tokens to draft in the next cycle. */
  next(): number;
  /** Whether another draft behind these is worth its time. */
  goOn(drafts: readonly Draft[]): boolean;
  /** How many of these to verify. */
  cut(drafts: readonly Draft[]): number;
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
  return { next: () => K, goOn: () => true, cut: (drafts) => drafts.length, observe: () => undefined, ahead: () => K, observeChained: () => undefined };
}

/** Weight of the newest observation in a running mean. */
const MEMORY = 0.1;
/** Classes of a draft's own probability whose acceptance is counted apart. */
const CLASSES = 8;
/** Cycles without drafts after which one is drafted to see. */
const TRY_EVERY = 8;

/**
 * Running means of what things take, in milliseconds: kept from one run to the next. What slows the machine slows everything, so each
 * observation moves a common factor, and its own entry only a little: entries that are not used do not go stale.
 */
export class Costs {
  private readonly verify = new Map<number, number>();
  private step: number | null = null;
  /** By how much the machine is slower than when it was first measured. */
  slowness = 1;

  observeVerify(tokens: number, milliseconds: number): void {
    const known = this.verify.get(tokens);
    if (known === undefined) this.verify.set(tokens, milliseconds / this.slowness);
    else this.verify.set(tokens, known * this.adapt(milliseconds / (known * this.slowness)));
  }

  observeDrafts(count: number, milliseconds: number): void {
    if (count === 0) return;
    const each = milliseconds / count;
    this.step = this.step === null ? each / this.slowness : this.step * this.adapt(each / (this.step * this.slowness));
  }

  /** Moves the common factor; returns the entry's own. An outlier counts as one of a factor three. */
  private adapt(ratio: number): number {
    const bounded = Math.min(3, Math.max(1 / 3, ratio));
    this.slowness *= bounded ** (2 * MEMORY);
    return bounded ** (MEMORY / 2);
  }

  forgetDrafts(): void {
    this.step = null;
  }

  /** Of one drafted token. */
  get draftStep(): number {
    return (this.step ?? 0) * this.slowness;
  }

  /** Of a pass over `tokens` tokens: as measured, or between (or beyond) its measured neighbours on a line. */
  pass(tokens: number): number {
    return this.slowness * this.usualPass(tokens);
  }

  private usualPass(tokens: number): number {
    const known = this.verify.get(tokens);
    if (known !== undefined) return known;
    const counts = [...this.verify.keys()].sort((a, b) => a - b);
    if (counts.length === 0) return 1;
    const above = counts.findIndex((count) => count > tokens);
    const high = above < 0 ? counts.length - 1 : Math.max(above, 1);
    const [right, left] = [counts[Math.min(high, counts.length - 1)]!, counts[Math.max(high - 1, 0)]!];
    const [a, b] = [this.verify.get(left)!, this.verify.get(right)!];
    return left === right ? a : Math.max(a + ((b - a) * (tokens - left)) / (right - left), Math.min(a, b));
  }
}

/**
 * Drafts as long as the next token's chance is worth its time, at the rate of tokens a millisecond that the run has: the expected number of
 * tokens a cycle over its time is greatest when each draft's expected tokens exceed its time at that very rate (Dinkelbach, 1967).
 * A draft's chance is that of drafts with a similar probability q, so unsure drafts end a cycle early.
 */
export class AdaptiveLength implements DraftLength {
  private readonly chances = Array.from({ length: CLASSES }, (_, index) => (index + 0.5) / CLASSES);
  private mean = 0.6;
  private tokens = 1;
  private milliseconds: number;
  private since = 0;
  private trying = false;

  /** `chained`: what whole cycles of CHAINED_LENGTHS take, by the number of drafts. */
  constructor(
    private readonly costs: Costs,
    private readonly chained = new Costs(),
  ) {
    this.milliseconds = costs.pass(1) / costs.slowness;
  }

  next(): number {
    this.trying = false;
    if (this.worth([], this.mean) > 0) return MAX_DRAFTED;
    // Not worth it so far; texts change, so it is tried again at times.
    this.trying = ++this.since % TRY_EVERY === 0;
    return this.trying ? 1 : 0;
  }

  goOn(drafts: readonly Draft[]): boolean {
    return drafts.length < MAX_DRAFTED && this.worth(drafts, this.mean) > 0;
  }

  cut(drafts: readonly Draft[]): number {
    if (this.trying) return drafts.length;
    let [chance, expected, count] = [1, 1, 0];
    let most = expected - this.rate * this.costs.pass(1);
    drafts.forEach((draft, index) => {
      chance *= this.chanceOf(draft);
      expected += chance;
      const gain = expected - this.rate * this.costs.pass(index + 2);
      if (gain > most) [most, count] = [gain, index + 1];
    });
    return count;
  }

  observe(report: CycleReport): void {
    const { drafts, drafted, timings } = report;
    this.costs.observeVerify(drafts.length + 1, timings.verifyMs + timings.readbackMs);
    this.costs.observeDrafts(drafted, timings.draftMs);
    this.learn(report);
    const keep = 1 - MEMORY / 2;
    this.tokens = keep * this.tokens + report.accepted + 1;
    this.milliseconds = keep * this.milliseconds + totalOf(timings) / this.costs.slowness;
  }

  /** The length of most tokens a millisecond, each draft's chance being the mean's; none where a pass without drafts has more, but for a try at times. */
  ahead(): number {
    const rate = (drafts: number): number => {
      let expected = 1;
      for (let place = 1; place <= drafts; place++) expected += this.mean ** place;
      return expected / this.chained.pass(drafts);
    };
    const best = CHAINED_LENGTHS.reduce((one, other) => (rate(other) > rate(one) ? other : one));
    if (rate(best) > 1 / this.costs.pass(1)) return best;
    return ++this.since % TRY_EVERY === 0 ? best : 0;
  }

  observeChained(report: CycleReport): void {
    this.chained.observeVerify(report.drafted, totalOf(report.timings));
    this.learn(report);
  }

  /** What was accepted tells the chances. */
  private learn({ drafts, accepted }: CycleReport): void {
    for (const [index, draft] of drafts.slice(0, accepted + 1).entries()) {
      const hit = index < accepted ? 1 : 0;
      this.mean += MEMORY * (hit - this.mean);
      const place = classOf(draft.q);
      this.chances[place]! += MEMORY * (hit - this.chances[place]!);
    }
  }

  /** Tokens that another draft of the given chance is expected to bring, less those that its time is worth. */
  private worth(drafts: readonly Draft[], chance: number): number {
    const reach = drafts.reduce((product, draft) => product * this.chanceOf(draft), 1);
    const time = this.costs.draftStep + this.costs.pass(drafts.length + 2) - this.costs.pass(drafts.length + 1);
    return reach * chance - this.rate * time;
  }

  private get rate(): number {
    return this.tokens / (this.milliseconds * this.costs.slowness);
  }

  private chanceOf({ q }: Draft): number {
    return this.chances[classOf(q)]!;
  }
}

const totalOf = ({ draftMs, verifyMs, readbackMs, otherMs }: CycleTimings): number => draftMs + verifyMs + readbackMs + otherMs;
const classOf = (q: number): number => Math.min(CLASSES - 1, Math.floor(q * CLASSES));
