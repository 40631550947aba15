/** Prompt lookup: drafts copied from behind an earlier occurrence of the last tokens. */
import type { Draft } from "./acceptance";
import type { Drafter, DraftRequest } from "./drafter";

export class LookupDrafter implements Drafter {
  readonly stepwise = false;
  readonly memory = { checkpointBytes: 0, inputBytes: 0, statePerTokenBytes: 0, kvBytes: 0, featureBytes: 0, weightBytes: 0 };

  /** Suffixes of `longest` down to `shortest` tokens are looked for. */
  constructor(
    private readonly longest = 8,
    private readonly shortest = 2,
  ) {}

  begin(): Promise<void> {
    return Promise.resolve();
  }

  draft(tokens: readonly number[], { count }: DraftRequest): Promise<Draft[]> {
    return Promise.resolve(continuation(tokens, count, this.longest, this.shortest).map((token) => ({ token, q: 1, distribution: null })));
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * The tokens, at most `count`, behind the latest occurrence of the longest suffix of `tokens` that occurs before: of `longest` tokens, else of
 * fewer, down to `shortest`. An occurrence so late that the tokens end behind it goes on into what it drafts.
 */
export function continuation(tokens: readonly number[], count: number, longest: number, shortest: number): number[] {
  let found = -1;
  let length = shortest - 1;
  for (let end = tokens.length - 1; end >= shortest && length < longest; end--) {
    let match = 0;
    while (match < longest && match < end && tokens[end - 1 - match] === tokens[tokens.length - 1 - match]) match++;
    if (match > length) [found, length] = [end, match];
  }
  if (found < 0) return [];
  const period = tokens.length - found;
  return Array.from({ length: count }, (_, index) => tokens[found + (index % period)]!);
}
