import { describe, expect, it } from "vitest";
import { readResults, resultsSchema } from "./results";

const head = { command: "measure", machine: "one", date: "2026-11-22", commit: "abc" };
const entry = { metric: "quality.needle", value: 0.5, unit: "share", of: { family: "f", variant: "attn50" } };
const grid = {
  rows: { name: "length", values: [512, 1024] },
  columns: { name: "depth", values: [0, 0.5, 1] },
  values: [
    [1, 1, 0],
    [0, 0.5, 1],
  ],
};

describe("resultsSchema", () => {
  it("keeps what an entry says of its own making, its error and its grid", () => {
    const full = { ...entry, stderr: 0.1, grid, command: "other", machine: { gpu: "two" }, date: "2026-11-23", commit: "def" };
    expect(resultsSchema.parse({ ...head, entries: [entry, full] }).entries).toEqual([entry, full]);
  });

  it.each([
    ["a row is missing", { ...grid, values: [[1, 1, 0]] }],
    ["a row is short", { ...grid, values: [[1, 1, 0], [0, 1]] }],
    ["the peer has another shape", { ...grid, peer: [[1], [1]] }],
  ])("refuses a grid where %s", (_, wrong) => {
    expect(resultsSchema.safeParse({ ...head, entries: [{ ...entry, grid: wrong }] }).success).toBe(false);
  });
});

describe("readResults", () => {
  it("reads every file that ships", async () => {
    const files = await readResults();
    expect(files.filter((file) => "problem" in file)).toEqual([]);
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining(["parity", "quality", "speed", "training"]));
  });
});
