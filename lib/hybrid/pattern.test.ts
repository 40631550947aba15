import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attentionShare, formatPattern, KEEP_RATIOS, keptLayers, parsePattern, PatternError, PLACEMENTS, presetLayers } from "./pattern";

const setName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,7}$/);
const layerSpec = fc.oneof(
  fc.constant("attention"),
  fc.tuple(fc.constantFrom("mamba2", "mamba"), setName).map(([mixer, set]) => `${mixer}:${set}`),
);
// A small pool of specs makes runs likely.
const layers = fc
  .uniqueArray(layerSpec, { minLength: 1, maxLength: 4 })
  .chain((pool) => fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 40 }));

describe("layer patterns", () => {
  it("parses back what it formats", () => {
    fc.assert(
      fc.property(layers, (specs) => {
        expect(parsePattern(formatPattern(specs), specs.length)).toEqual(specs);
      }),
    );
  });

  it("has one text form for the same layers, however they were written", () => {
    const written = fc.tuple(layerSpec, fc.integer({ min: 1, max: 5 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 10 }), (runs) => {
        const text = runs
          .map(([spec, count, explicit]) => {
            const [mixer = "", set] = spec.split(":");
            const letter = { attention: "a", mamba2: "m", mamba: "s" }[mixer];
            return `${letter}${count > 1 || explicit ? count : ""}${set ? `~${set}` : ""}`;
          })
          .join(".");
        const parsed = parsePattern(text);
        expect(parsed).toEqual(runs.flatMap(([spec, count]) => Array<string>(count).fill(spec)));
        const canonical = formatPattern(parsed);
        expect(formatPattern(parsePattern(canonical))).toBe(canonical);
        expect(canonical.length).toBeLessThanOrEqual(text.length);
        const written = canonical.split(".").map((run) => run.replace(/^(.)\d+/, "$1"));
        written.forEach((run, index) => expect(run).not.toBe(written[index + 1]));
      }),
    );
  });

  it("reads the documented example", () => {
    expect(parsePattern("a.m~attn50.a2.m2~aligned")).toEqual([
      "attention",
      "mamba2:attn50",
      "attention",
      "attention",
      "mamba2:aligned",
      "mamba2:aligned",
    ]);
    expect(formatPattern(["mamba:one", "mamba:one", "attention"])).toBe("s2~one.a");
    expect(parsePattern("a2~draft")).toEqual(["attention:draft", "attention:draft"]);
    expect(formatPattern(["attention:draft", "attention:draft"])).toBe("a2~draft");
  });

  it.each([
    ["", 0, '"a", "m" or "s"'],
    ["b2", 0, '"a", "m" or "s"'],
    ["a.", 2, '"a", "m" or "s"'],
    ["a..a", 2, '"a", "m" or "s"'],
    ["m", 1, '"~"'],
    ["m2.a", 2, '"~"'],
    ["m~.a", 2, "the name of a mixer set"],
    ["a2~", 3, "the name of a mixer set"],
    ["a0", 1, "a count from 1"],
    ["a02", 1, "a count from 1"],
    ["a99999999", 1, "a count from 1"],
    ["a.m~x y", 5, '"." or the end'],
  ])("says where %j goes wrong", (text, position, expected) => {
    const error = thrownBy(() => parsePattern(text));
    expect(error).toBeInstanceOf(PatternError);
    expect(error).toMatchObject({ position, expected: expect.stringContaining(expected) });
    expect((error as Error).message).toContain(`position ${position}`);
  });

  it("never accepts text that it cannot format again", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."ams.~012xé"), maxLength: 12 }), (text) => {
        let specs: string[];
        try {
          specs = parsePattern(text);
        } catch (error) {
          expect(error).toBeInstanceOf(PatternError);
          return;
        }
        expect(parsePattern(formatPattern(specs))).toEqual(specs);
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses another number of layers", () => {
    expect(() => parsePattern("a7", 8)).toThrow("8 layers in all (the pattern has 7)");
  });
});

describe("presets", () => {
  it("keeps half the layers of stories in turn", () => {
    expect(formatPattern(presetLayers(8, 0.5, "interleaved", "attn50"))).toBe(
      "a.m~attn50.a.m~attn50.a.m~attn50.a.m~attn50",
    );
    expect(keptLayers(8, 0.25, "first")).toEqual([0, 1]);
    expect(keptLayers(8, 0.25, "last")).toEqual([6, 7]);
    expect(keptLayers(30, 0.125, "interleaved")).toEqual([0, 7, 15, 22]);
    expect(keptLayers(8, 0, "interleaved")).toEqual([]);
    expect(keptLayers(2, 0.125, "first")).toEqual([0]);
  });

  it("keeps the wanted share, in distinct layers, for any depth", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.constantFrom(...KEEP_RATIOS),
        fc.constantFrom(...PLACEMENTS),
        (count, keep, placement) => {
          const kept = keptLayers(count, keep, placement);
          expect(new Set(kept).size).toBe(kept.length);
          for (const layer of kept) expect(layer >= 0 && layer < count).toBe(true);
          const share = attentionShare(presetLayers(count, keep, placement, "x"));
          if (keep > 0 && count * keep < 1) expect(kept).toHaveLength(1);
          else expect(Math.abs(share - keep)).toBeLessThanOrEqual(0.5 / count + 1e-12);
          if (placement === "interleaved") {
            const gaps = kept.slice(1).map((layer, index) => layer - (kept[index] ?? 0));
            if (gaps.length > 0) expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
