import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeView, encodeView, tabs, type View } from "./link";
import { sampleIds } from "./samples";
import { LINK_LIMIT, packText, unpackText } from "./share-text";

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$/);
const pattern = fc.array(fc.oneof(fc.constant("attention"), name.map((set) => `mamba2:${set}`)), { minLength: 1, maxLength: 40 });
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 });
const view: fc.Arbitrary<View> = fc.record(
  {
    family: name,
    a: pattern,
    b: pattern,
    set: name,
    source: fc.oneof(fc.constantFrom(...sampleIds).map((id) => ({ kind: "sample" as const, id })), text.map((own) => ({ kind: "own" as const, text: own }))),
    layer: fc.nat(511),
    head: fc.integer({ min: 1, max: 63 }),
    tab: fc.constantFrom(...tabs),
    provider: fc.constantFrom("webgpu" as const, "wasm" as const),
  },
  { requiredKeys: [] },
);

describe("the address", () => {
  it("gives back every view", () => {
    fc.assert(
      fc.property(view, (said) => {
        const { query, complete } = encodeView(said);
        expect(complete).toBe(true);
        expect(decodeView(new URLSearchParams(query))).toEqual({ view: said, problems: [] });
      }),
    );
  });

  it("never throws, and tells each part that it cannot read while it keeps the others", () => {
    const part = fc.string({ maxLength: 60 });
    fc.assert(
      fc.property(fc.record({ a: part, b: part, sample: part, text: part, layer: part, head: part, tab: part, provider: part, set: part }), (said) => {
        const query = new URLSearchParams({ ...said, family: "four" });
        const { view: read, problems } = decodeView(query);
        expect(read.family).toBe("four");
        const understood = [read.a, read.b, read.set, read.layer, read.head, read.tab, read.provider].filter((value) => value !== undefined).length;
        // A sample and a text share one place.
        expect(problems.length + understood).toBeGreaterThanOrEqual(7);
        expect(problems.length + understood).toBeLessThanOrEqual(9);
      }),
    );
  });

  it("names the character at which a pattern breaks", () => {
    const { view: read, problems } = decodeView(new URLSearchParams("a=a2.x&b=a.m~set&layer=-1"));
    expect(read).toEqual({ b: ["attention", "mamba2:set"] });
    expect(problems).toEqual([expect.stringContaining('Pattern A, "a2.x", cannot be read at character 4'), '"layer=-1" is not the number of a layer.']);
  });

  it("leaves out a text that is too long, and says so", () => {
    let state = 1;
    const noise = Array.from({ length: 3000 }, () => String.fromCharCode(33 + ((state = (state * 48271) % 2147483647) % 90))).join("");
    const { query, complete } = encodeView({ family: "four", source: { kind: "own", text: noise } });
    expect([query, complete]).toEqual(["family=four", false]);
  });
});

describe("packed texts", () => {
  it("come back whole or not at all", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 4000 }), (whole) => {
        const packed = packText(whole);
        if (packed === null) return;
        expect(packed.length).toBeLessThanOrEqual(LINK_LIMIT);
        expect(encodeURIComponent(packed)).toBe(packed);
        expect(unpackText(packed)).toBe(whole);
      }),
    );
  });

  it("refuse what is damaged or unfolds without end", () => {
    const packed = packText("The pond was calm that morning, and the boat lay still.") ?? "";
    expect(unpackText(packed.slice(0, -8))).toBeNull();
    expect(unpackText("")).toBeNull();
    expect(unpackText("a b")).toBeNull();
    expect(packText("a".repeat(1_000_000))).not.toBeNull();
    expect(unpackText(packText("a".repeat(1_000_000)) ?? "")).toHaveLength(1_000_000);
    expect(packText("a".repeat(1_000_001))).toBeNull();
  });
});
