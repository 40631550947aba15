import { describe, expect, it } from "vitest";
import { type ResultEntry, without } from "./results";

const entry = (value: number, of: ResultEntry["of"] = {}, metric = "speculative.different"): ResultEntry => ({
  metric,
  value,
  unit: "prompts",
  of: { family: "stories", variant: "attn50", K: "1", prompts: 20, ...of },
});

describe("entries that are merged", () => {
  it("replace those about the same, whatever was measured, in whatever order it is said", () => {
    const again: ResultEntry = { ...entry(1), of: { prompts: 3, K: "1", variant: "attn50", family: "stories", load_average: 0.5 } };
    expect(without([entry(0)], [again])).toEqual([]);
  });

  it("leave those of another metric, or about anything else", () => {
    const kept = [entry(0, {}, "speculative.acceptance"), entry(0, { K: "2" }), entry(0, { variant: "attn25" }), entry(0, { kind: "question" })];
    expect(without([entry(0), ...kept], [entry(1)])).toEqual(kept);
    expect(without(kept, [])).toEqual(kept);
  });
});
