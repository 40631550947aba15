import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Findings, type Outcome } from "./exactness-findings";

const cell = { target: "attn50", draft: "lookup" };
const outcome = (prompt: number, K: number, wrong = false): Outcome => ({
  ...cell,
  prompt,
  K,
  answered: 8,
  accepted: 0.5,
  mismatch: wrong ? { position: 3, plain: 1, speculative: 2, margin: 1e-5 } : null,
});

describe("what the exactness matrix found", () => {
  let folder = "";
  const open = (weights = "a", tokens = 8, fresh = false): Promise<Findings> => Findings.open(path.join(folder, "found", "x.jsonl"), () => weights, tokens, fresh);
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "findings-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is there again after a run that was ended in mid line", async () => {
    const first = await open();
    await first.add(outcome(0, 1));
    await first.add(outcome(1, 2, true));
    const file = path.join(folder, "found", "x.jsonl");
    await appendFile(file, (await readFile(file, "utf8")).slice(0, 40)); // a line that was cut off
    const again = await open();
    expect([outcome(0, 1), outcome(1, 2), outcome(1, 1)].map((place) => again.has(place))).toEqual([true, true, false]);
  });

  it("does not count for other weights, answers of another length, or when forgotten", async () => {
    await (await open()).add(outcome(0, 1));
    expect((await open("b")).has(outcome(0, 1))).toBe(false);
    expect((await open("a", 9)).has(outcome(0, 1))).toBe(false);
    expect((await open("a", 8, true)).has(outcome(0, 1))).toBe(false);
    expect((await open()).has(outcome(0, 1))).toBe(false);
  });

  it("gives an entry a length if each prompt was tried with each, else one for all", async () => {
    const findings = await open();
    for (const found of [outcome(0, 1), outcome(1, 1, true), outcome(0, 2), outcome(1, 2), outcome(2, 1)]) await findings.add(found);
    const extent = { family: "stories", prompts: 2 };
    const full = findings.entries(cell, { ...extent, lengthsOf: () => [1, 2], full: true });
    expect(full.map(({ value, of }) => [of.K, value, of.prompts])).toEqual([["1", 1, 2], ["2", 0, 2]]);
    const turns = findings.entries(cell, { ...extent, lengthsOf: (prompt) => [1 + prompt], full: false });
    expect(turns.map(({ value, of }) => [of.K, value, of.prompts, of.tokens])).toEqual([["1 to 8, one a prompt", 0, 2, 8]]);
  });
});
