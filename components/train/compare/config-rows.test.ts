import { expect, it } from "vitest";
import { configRows } from "./config-rows";

it("lists every field of any config, and says which differ", () => {
  const rows = configRows([
    { method: "distill", layers: [1, 3], optimiser: { steps: 10, name: "adamw" }, mixture: [] },
    { method: "distill", layers: [1, 3], optimiser: { steps: 20 }, seed: 0, mixture: [] },
    null,
  ]);
  expect(rows.map(({ path }) => path)).toEqual(["method", "layers", "optimiser.steps", "optimiser.name", "mixture", "seed"]);
  expect(rows.find(({ path }) => path === "optimiser.steps")?.values).toEqual([10, 20, undefined]);
  expect(configRows([{ a: 1, b: { c: [2] } }, { a: 1, b: { c: [3] } }]).map(({ differs }) => differs)).toEqual([false, true]);
});
