import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LoadedBundle } from "@/lib/weights/loader";
import { DEFAULT_SHORTLIST, Shortlist, shortlistOf } from "./shortlist";
import { storiesBundle } from "./testing";

const VOCABULARY = 64;

describe("columns and tokens", () => {
  it("go over into each other, and values keep their place and sum", () => {
    const tokens = fc.uniqueArray(fc.nat(VOCABULARY - 1), { minLength: 1, maxLength: VOCABULARY });
    fc.assert(
      fc.property(tokens, fc.array(fc.nat(VOCABULARY - 1)), (listed, context) => {
        const shortlist = new Shortlist(Uint32Array.from(listed));
        listed.forEach((token, column) => expect(shortlist.token(column)).toBe(token));
        expect(shortlist.columnsOf(context).map((column) => shortlist.token(column))).toEqual(context.filter((token) => listed.includes(token)));
        const values = Float64Array.from(listed, (token) => token + 1);
        const spread = shortlist.spread(values);
        expect(spread.length).toBeLessThanOrEqual(VOCABULARY);
        spread.forEach((value, token) => expect(value).toBe(listed.includes(token) ? token + 1 : 0));
        expect(() => shortlist.token(listed.length)).toThrow(RangeError);
      }),
    );
  });
});

describe("a shortlist of a bundle", () => {
  const { manifest: stories } = storiesBundle();
  const bundle = (ranking: Uint32Array | null, vocabulary: number): Pick<LoadedBundle, "manifest" | "tokenRanking"> => ({
    manifest: {
      ...stories,
      architecture: { ...stories.architecture, vocab_size: vocabulary },
      ...(ranking && { token_ranking: { file: "r.bin", bytes: 4 * ranking.length, sha256: "0".repeat(64), count: ranking.length } }),
    },
    tokenRanking: () => Promise.resolve(ranking),
  });
  const falling = (count: number) => Uint32Array.from({ length: count }, (_, place) => count - 1 - place);

  it("is the ranking's begin, or the first ids without one", async () => {
    expect(await shortlistOf(bundle(falling(100), 200), 3)).toEqual(Uint32Array.of(99, 98, 97));
    expect(await shortlistOf(bundle(falling(100), 200), 150)).toEqual(falling(100));
    expect(await shortlistOf(bundle(null, 200), 3)).toEqual(Uint32Array.of(0, 1, 2));
  });

  it("is by default as long as is worth it, and only where there is a ranking", async () => {
    expect(await shortlistOf(bundle(falling(20_000), 49_152))).toEqual(falling(20_000).slice(0, DEFAULT_SHORTLIST));
    expect(await shortlistOf(bundle(null, 49_152))).toBeUndefined();
    expect(await shortlistOf(bundle(falling(100), 200))).toBeUndefined();
    expect(await shortlistOf(bundle(falling(20_000), 49_152), 0)).toBeUndefined();
  });
});
