import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ConfigDocument } from "@/lib/training/types";
import { configRows, withDefaults } from "./config-rows";

const shipped = (run: string) => JSON.parse(readFileSync(new URL(`../../../results/runs/${run}/config.json`, import.meta.url), "utf8")) as ConfigDocument;

describe("configs side by side", () => {
  it("list every field of any config, and say which differ", () => {
    const rows = configRows([{ a: 1, b: { c: [2], d: 3 } }, { a: 1, b: { c: [3] } }, null]);
    expect(rows.map(({ path }) => path)).toEqual(["a", "b.c", "b.d"]);
    expect(rows.find(({ path }) => path === "b.c")?.values).toEqual([[2], [3], undefined]);
    expect(configRows([{ a: 1, b: 2 }, { a: 1, b: 3 }]).map(({ differs }) => differs)).toEqual([false, true]);
  });

  it("take a field that is left out for its default", () => {
    const whole = shipped("ablation-init-attention");
    const sparse = Object.fromEntries(Object.entries(whole).filter(([name]) => ["method", "family", "bundle", "layers", "data", "optimiser", "mixer", "name"].includes(name)));
    const differing = configRows([whole, sparse]).filter(({ differs }) => differs).map(({ path }) => path);
    for (const path of ["seed", "device", "train", "loss.beta"]) expect(differing).not.toContain(path);
  });

  it("keep a pipeline's stages, and what is no config at all", () => {
    const pipeline = shipped("ablation-stages-3");
    const filled = withDefaults(pipeline);
    expect(filled.stages).toEqual(pipeline.stages);
    expect(filled).toMatchObject({ seed: 0, layers: pipeline.layers });
    expect(filled).not.toHaveProperty("method");
    expect(withDefaults({ nonsense: 1 })).toEqual({ nonsense: 1 });
  });
});
