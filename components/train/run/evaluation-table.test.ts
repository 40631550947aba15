import { expect, it } from "vitest";
import { evaluationTables } from "./evaluation-table";

it("makes a table a task, words first, inner values beside their outer names", () => {
  const tables = evaluationTables([
    { task: "agreement", kl: 0.12, variant: "a", exact: true, cells: [1, 2] },
    { task: "agreement", kl: 0.2, variant: "b", tokens: 64 },
    { task: "choice", acc: { value: 0.5, teacher: 0.6 } },
  ]);
  expect(tables).toEqual([
    { task: "agreement", columns: ["variant", "exact", "kl", "tokens"], rows: [["a", "yes", 0.12, null], ["b", null, 0.2, 64]] },
    { task: "choice", columns: ["acc value", "acc teacher"], rows: [[0.5, 0.6]] },
  ]);
  expect(evaluationTables([])).toEqual([]);
});
