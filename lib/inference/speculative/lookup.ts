/** Prompt lookup: drafts copied from behind an earlier occurrence of the last tokens. */
import type { Draft } from "./acceptance";
import type { Drafter, DraftRequest } from "./drafter";

/** Suffixes of so many tokens are looked for. */
const [LONGEST, SHORTEST] = [8, 2];

export type Copied = {
  readonly tokens: readonly number[];
  /** Length of the suffix that they were found behind; 0: none occurred before. */
  readonly match: number;
};

export class LookupDrafter implements Drafter {
  readonly stepwise = false;
  readonly memory = { checkpointBytes: 0, inputBytes: 0, statePerTokenBytes: 0, kvBytes: 0, featureBytes: 0, weightBytes: 0 };

  /** Suffixes of `longest` down to `shortest` tokens are looked for. */
  constructor(
    private readonly longest = LONGEST,
    private readonly shortest = SHORTEST,
  ) {}

  begin(): Promise<void> {
    return Promise.resolve();
  }

  draft(tokens: readonly number[], { count }: DraftRequest): Promise<Draft[]> {
    return Promise.resolve(certain(copyOf(tokens, count, this.longest, this.shortest)).drafts);
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

const nothing: Copied = { tokens: [], match: 0 };

/** Copied tokens as drafts: nothing else could have been drafted. */
export function certain({ tokens, match } = nothing): { drafts: Draft[]; match: number } {
  return { drafts: tokens.map((token) => ({ token, q: 1, distribution: null })), match };
}

/**
 * The tokens, at most `count`, behind the latest occurrence of the longest suffix of `tokens` that occurs before: of `longest` tokens, else of
 * fewer, down to `shortest`. An occurrence so late that the tokens end behind it goes on into what it drafts.
 */
export function copyOf(tokens: readonly number[], count: number, longest = LONGEST, shortest = SHORTEST): Copied {
  let found = -1;
  let length = shortest - 1;
  for (let end = tokens.length - 1; end >= shortest && length < longest; end--) {
    let match = 0;
    while (match < longest && match < end && tokens[end - 1 - match] === tokens[tokens.length - 1 - match]) match++;
    if (match > length) [found, length] = [end, match];
  }
  if (found < 0 || count <= 0) return nothing;
  const period = tokens.length - found;
  return { tokens: Array.from({ length: count }, (_, index) => tokens[found + (index % period)]!), match: length };
}

/**
 * How likely a token is that was copied behind a match, in a place from 0 of tokens that were right so far, where nothing is known of the text. Adaptive
 * lengths begin with it, and learn how often such tokens are right.
 */
export const surenessOf = (match: number, place: number): number => (match + place) / (match + place + 2);
