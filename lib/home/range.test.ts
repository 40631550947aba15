import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesNoneOf, parseRange, rangeAllowed } from "./range";

describe("parseRange", () => {
  it("gives the bytes that slicing the file would give", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1200), fc.nat(1200), (size, first, length) => {
        const range = parseRange(`bytes=${first}-${first + length}`, size);
        if (first >= size) return range === "unsatisfiable";
        const bytes = Array.from({ length: size }, (_, index) => index).slice(first, first + length + 1);
        return range !== null && range !== "unsatisfiable" && range.start === bytes[0] && range.end === bytes.at(-1);
      }),
    );
  });

  it("reads open and suffix ranges", () => {
    expect(parseRange("bytes=10-", 100)).toEqual({ start: 10, end: 99 });
    expect(parseRange("bytes=-10", 100)).toEqual({ start: 90, end: 99 });
    expect(parseRange("bytes=-500", 100)).toEqual({ start: 0, end: 99 });
    expect(parseRange("bytes=-0", 100)).toBe("unsatisfiable");
    expect(parseRange("bytes=0-", 0)).toBe("unsatisfiable");
  });

  it.each([null, "", "bytes=", "bytes=-", "items=0-1", "bytes=5-2", "bytes=0-1,4-5", "bytes=a-b"])("sends the whole file for %j", (header) => {
    expect(parseRange(header, 100)).toBeNull();
  });
});

describe("conditions", () => {
  it("compares If-None-Match weakly and in lists", () => {
    expect(matchesNoneOf('"x", W/"y"', '"y"')).toBe(true);
    expect(matchesNoneOf("*", '"y"')).toBe(true);
    expect(matchesNoneOf('"x"', '"y"')).toBe(false);
    expect(matchesNoneOf(null, '"y"')).toBe(false);
  });

  it("honours a range only for the very same representation", () => {
    expect(rangeAllowed(null, '"y"')).toBe(true);
    expect(rangeAllowed('"y"', '"y"')).toBe(true);
    expect(rangeAllowed('W/"y"', '"y"')).toBe(false);
    expect(rangeAllowed("Wed, 21 Oct 2015 07:28:00 GMT", '"y"')).toBe(false);
  });
});
