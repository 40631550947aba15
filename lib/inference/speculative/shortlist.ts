/** A draft's head over some tokens only: which they are, and the way between its columns and token ids. */
import type { LoadedBundle } from "@/lib/weights/loader";

/** Tokens of a draft's head unless told otherwise, where a ranking says which: 99 of 100 tokens of a chat, at a sixth of the head's cost. */
export const DEFAULT_SHORTLIST = 8192;

/**
 * The tokens that a shortlist of `count` stands for (undefined: the default, 0: all): the first of the family's ranking, or without one the first
 * ids. Undefined: the whole vocabulary. Throws WeightError for a ranking that cannot be read.
 */
export async function shortlistOf({ manifest, tokenRanking }: Pick<LoadedBundle, "manifest" | "tokenRanking">, count?: number): Promise<Uint32Array | undefined> {
  const wanted = count ?? (manifest.token_ranking ? DEFAULT_SHORTLIST : 0);
  if (wanted === 0 || wanted >= manifest.architecture.vocab_size) return undefined;
  return (await tokenRanking())?.slice(0, wanted) ?? Uint32Array.from({ length: wanted }, (_, token) => token);
}

/** Column j of a head's logits is that of token `tokens[j]`; tokens are distinct. */
export class Shortlist {
  private readonly columns = new Map<number, number>();
  private readonly end: number;

  constructor(readonly tokens: Uint32Array) {
    tokens.forEach((token, column) => this.columns.set(token, column));
    this.end = tokens.reduce((most, token) => Math.max(most, token + 1), 0);
  }

  token(column: number): number {
    const token = this.tokens[column];
    if (token === undefined) throw new RangeError(`Column ${column} of a shortlist of ${this.tokens.length} tokens.`);
    return token;
  }

  /** The columns of those tokens that have one. */
  columnsOf(tokens: Iterable<number>): number[] {
    const columns: number[] = [];
    for (const token of tokens) {
      const column = this.columns.get(token);
      if (column !== undefined) columns.push(column);
    }
    return columns;
  }

  /** One value a column as one a token of the vocabulary, up to the last token that has a column; zero where there is none. */
  spread(values: Float64Array): Float64Array {
    const spread = new Float64Array(this.end);
    values.forEach((value, column) => (spread[this.token(column)] = value));
    return spread;
  }
}
