import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resultsSchema } from "@/lib/home/results";
import { kernelTimes, places, recorded } from "./recorded";

const made = { command: "c", machine: "m", date: "2026-01-01", commit: "0" };
const of = { family: "f", variant: "attn50", draft: "draft2", provider: "wasm" };
const entry = (metric: string, value: number, unit: string, more: object) => ({ metric: `speculative.${metric}`, value, unit, of: { ...of, ...more } });

describe("recorded speculation", () => {
  const entries = [
    entry("speedup", 1.2, "ratio", { K: "1" }),
    entry("speedup", 1.1, "ratio", { K: "adaptive" }),
    entry("speedup", 0.9, "ratio", { K: 4 }),
    entry("acceptance", 0.7, "share", { K: "1", kind: "code" }),
    entry("acceptance", 0.4, "share", { K: "1" }),
    { ...entry("kernel_time", 12, "µs", { K: 4, width: "2.8b" }), peer: { name: "single-step", value: 36 } },
  ];
  const results = [{ name: "speculative", results: resultsSchema.parse({ ...made, entries }) }, { name: "broken", problem: "cannot be read" }];

  it("is read by target, draft, place and K; parts by kind of prompt are left to the whole", () => {
    expect(recorded(results, "speculative.speedup").map(({ k, value }) => [k, value])).toEqual([[1, 1.2], ["adaptive", 1.1], [4, 0.9]]);
    expect(recorded(results, "speculative.acceptance")).toEqual([{ series: "attn50, draft2", provider: "wasm", family: "f", k: 1, value: 0.4 }]);
  });

  it("tells passes that are not fused from those that are", () => {
    const both = [entry("decode", 300, "tok/s", { K: 3, passes: "pytorch" }), entry("decode", 1480, "tok/s", { K: 3, passes: "fused" })];
    const file = [{ name: "speculative", results: resultsSchema.parse({ ...made, entries: both }) }];
    expect(recorded(file, "speculative.decode").map(({ series, value }) => [series, value])).toEqual([["attn50, draft2, passes not fused", 300], ["attn50, draft2", 1480]]);
  });

  it("has the state update's times beside single steps'", () => {
    expect(kernelTimes(results)).toEqual([{ width: "2.8b", k: 4, microseconds: 12, single: 36 }]);
  });

  it("that ships is found", () => {
    const shipped = [{ name: "speculative", results: resultsSchema.parse(JSON.parse(readFileSync("results/speculative.json", "utf8"))) }];
    const own = recorded(shipped, "speculative.speedup").filter(({ family, k }) => family === "smollm2-135m-instruct" && k === 1);
    expect(new Set(own.map(({ provider }) => provider))).toEqual(new Set(Object.keys(places)));
  });
});
