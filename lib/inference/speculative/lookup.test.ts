import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyOf, surenessOf } from "./lookup";

const continuation = (...given: Parameters<typeof copyOf>): readonly number[] => copyOf(...given).tokens;

describe("prompt lookup", () => {
  it("continues the longest suffix that occurred, the latest of several, and backs off", () => {
    expect(continuation([1, 2, 3, 9, 2, 3, 8, 1, 2, 3], 2, 8, 2)).toEqual([9, 2]);
    expect(continuation([2, 3, 9, 5, 2, 3, 8, 4, 2, 3], 2, 8, 2)).toEqual([8, 4]);
    expect(continuation([7, 3, 9, 5, 2, 3], 2, 8, 2)).toEqual([]);
    expect(continuation([7, 3, 9, 5, 2, 3], 2, 8, 1)).toEqual([9, 5]);
    expect(continuation([4, 6, 6, 6], 3, 8, 1)).toEqual([6, 6, 6]);
    expect(continuation([1, 2, 1, 2, 1, 2], 4, 8, 2)).toEqual([1, 2, 1, 2]);
  });

  it("tells how long a suffix it found", () => {
    expect(copyOf([1, 2, 3, 9, 2, 3, 8, 1, 2, 3], 2)).toEqual({ tokens: [9, 2], match: 3 });
    expect(copyOf([7, 3, 9, 5, 2, 3], 2)).toEqual({ tokens: [], match: 0 });
    expect(copyOf([1, 2, 1, 2], 0)).toEqual({ tokens: [], match: 0 });
    const sure = [0, 1, 2].map((place) => surenessOf(2, place));
    expect(sure).toEqual([...sure].sort((one, other) => one - other));
    expect(surenessOf(2, 1)).toBe(surenessOf(3, 0));
  });

  it("drafts only what was behind a suffix", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 8 }), (tokens, count) => {
        const drafted = continuation(tokens, count, 6, 2);
        if (drafted.length === 0) return;
        expect(drafted).toHaveLength(count);
        const [a, b] = tokens.slice(-2);
        const places = tokens.flatMap((_, index) => (index >= 2 && tokens[index - 2] === a && tokens[index - 1] === b ? [tokens[index]] : []));
        expect(places).toContain(drafted[0]);
      }),
    );
  });
});
