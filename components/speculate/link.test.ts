import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeView, encodeView, formatDraft, parseDraft, tabs, type View } from "./link";

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$/).filter((text) => text !== "lookup" && !text.startsWith("first-"));
const lookup = fc.constantFrom({}, { lookup: true });
const draft = fc.oneof(
  fc.tuple(name, lookup).map(([variant, also]) => ({ kind: "model" as const, variant, ...also })),
  fc.tuple(fc.integer({ min: 1, max: 60 }), lookup).map(([count, also]) => ({ kind: "layers" as const, count, ...also })),
  fc.constant({ kind: "lookup" as const }),
);
const view: fc.Arbitrary<View> = fc.record(
  {
    family: name,
    target: name,
    pattern: fc.array(fc.oneof(fc.constant("attention"), name.map((set) => `mamba2:${set}`)), { minLength: 1, maxLength: 40 }),
    draft,
    k: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant("adaptive" as const)),
    temperature: fc.integer({ min: 1, max: 40 }).map((twentieths) => twentieths / 20),
    tokens: fc.integer({ min: 1, max: 4096 }),
    provider: fc.constantFrom("webgpu" as const, "wasm" as const),
    tab: fc.constantFrom(...tabs),
    prompt: fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }),
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

  it("never throws, and keeps or tells each part", () => {
    const part = fc.string({ maxLength: 40 });
    fc.assert(
      fc.property(fc.record({ target: part, pattern: part, draft: part, k: part, temperature: part, tokens: part, provider: part, tab: part, prompt: part }), (said) => {
        const { view: read, problems } = decodeView(new URLSearchParams({ ...said, family: "four" }));
        expect(read.family).toBe("four");
        expect(Object.keys(read).length - 1 + problems.length).toBe(9);
      }),
    );
  });

  it("names what is out of range", () => {
    const { problems } = decodeView(new URLSearchParams("k=9&temperature=3&tokens=0"));
    expect(problems).toEqual(['"k=9" is not a number from 1 to 8 or "adaptive".', '"temperature=3" is not a temperature from 0 to 2.', '"tokens=0" is not a number of tokens from 1 to 4096.']);
  });

  it("leaves a prompt out that is too long for a link, and says so", () => {
    const noise = Array.from({ length: 20_000 }, (_, index) => String.fromCodePoint(0x4e00 + ((index * 7919) % 20_000))).join("");
    expect(encodeView({ family: "stories", prompt: noise })).toEqual({ query: "family=stories", complete: false });
  });
});

describe("a draft in the address", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(draft, (said) => {
        expect(parseDraft(formatDraft(said))).toEqual(said);
      }),
    );
    expect(parseDraft("first-0")).toEqual({ kind: "model", variant: "first-0" });
    expect(parseDraft("../x")).toBeNull();
  });
});
