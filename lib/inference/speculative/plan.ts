/** Whether another draft is worth its time, before its probability is known. */
import { MAX_DRAFTED } from "./types";

/** Shares of all drafts add up to 1. */
export type Likely = { readonly chance: number; readonly share: number };

export type World = {
  /** Milliseconds of a pass over so many tokens, of so many drafts in a row, and of a cycle beside both. */
  readonly pass: (tokens: number) => number;
  readonly drafting: (count: number) => number;
  readonly other: number;
  /** Chances of being accepted that a cycle's first draft has, by how often; and those of later ones. */
  readonly first: readonly Likely[];
  readonly later: readonly Likely[];
  /** Share of the cycles in which there is a draft at all. */
  readonly found: number;
};

/** Chances that all drafts of a cycle so far are accepted, for which the plan is made: each is so much of the one before. */
const REACH_STEP = 0.8;
const REACHES = Array.from({ length: 14 }, (_, index) => REACH_STEP ** index);

/**
 * The best rule at a given worth of time. A cycle drafts token by token; each draft's chance shows once it is there, and it is then kept for
 * verification or dropped, which ends the drafting. With G(k, R) the gain of going on from k drafts that are all accepted with probability R,
 *
 *   G(k, R) = max(0, E_c[max(0, R c - ρ (V(k+2) - V(k+1)) + G(k+1, R c))] - ρ (D(k+1) - D(k)))
 *
 * in tokens, where V(n) is the time of a pass over n tokens, D(k) that of k drafts, and a millisecond is worth ρ tokens. The rate of tokens a
 * millisecond is greatest when ρ is the rate that the rule itself gives (Dinkelbach, 1967), to which `rate` comes closer with each plan made at it.
 */
export class Plan {
  /** Of going on from k drafts, by REACHES. */
  private readonly gains: Float64Array[] = [];
  /** Tokens a millisecond that this rule is expected to give. */
  readonly rate: number;

  constructor(
    { pass, drafting, other, first, later, found }: World,
    readonly worth: number,
  ) {
    const [atFirst, atLater] = [placed(first), placed(later)];
    let [gain, tokens] = [new Float64Array(REACHES.length), new Float64Array(REACHES.length)];
    this.gains[MAX_DRAFTED] = gain;
    for (let place = MAX_DRAFTED - 1; place >= 0; place--) {
      const likely = place === 0 ? atFirst : atLater;
      const [verify, draft] = [worth * (pass(place + 2) - pass(place + 1)), worth * (drafting(place + 1) - drafting(place))];
      const [nextGain, nextTokens] = [new Float64Array(REACHES.length), new Float64Array(REACHES.length)];
      for (let row = 0; row < REACHES.length; row++) {
        let [sum, count] = [-draft, 0];
        for (const { chance, share, lower } of likely) {
          const reach = REACHES[row]! * chance;
          const kept = reach - verify + between(gain, row + lower);
          if (kept <= 0) continue;
          sum += share * kept;
          count += share * (reach + between(tokens, row + lower));
        }
        if (sum > 0) [nextGain[row], nextTokens[row]] = [sum, count];
      }
      [gain, tokens] = [nextGain, nextTokens];
      this.gains[place] = gain;
    }
    const drafted = found * tokens[0]!;
    const time = pass(1) + other + (worth > 0 ? (drafted - found * gain[0]!) / worth : 0);
    this.rate = (1 + drafted) / time;
  }

  /** Tokens that going on is worth, where there are `drafts` that are all accepted with probability `reach`. Never below 0: drafting can stop. */
  gain(drafts: number, reach: number): number {
    const gains = this.gains[drafts];
    return gains ? between(gains, placeOf(reach)) : 0;
  }
}

const placed = (all: readonly Likely[]): (Likely & { readonly lower: number })[] => all.map(({ chance, share }) => ({ chance, share, lower: placeOf(chance) }));

/** Where a reach lies among REACHES. */
const placeOf = (reach: number): number => Math.max(0, Math.log(reach) / Math.log(REACH_STEP));

/** Between two reaches that were planned for on a line; below them no gain. */
function between(values: Float64Array, place: number): number {
  const row = Math.floor(place);
  if (row + 1 >= values.length) return 0;
  const value = values[row]!;
  return value + (place - row) * (values[row + 1]! - value);
}
