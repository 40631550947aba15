/** The probe's numbers against the trainer's evaluation (trainer/tests/probe_fixture.py) of the same hybrids on the same tokens. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { simpleCall } from "./call";
import { familyFiles, isFetched, nodeProbe } from "./testing";

type Case = { layers: string[]; kl: number; agreement: number; perplexity: number; teacher_perplexity: number; perplexity_ratio: number; tokens: number };
type Recorded = { tokens: number[]; cases: Case[] };

const call = simpleCall();

describe.each(["stories", "smollm2-135m-instruct"])("%s", (family) => {
  it.skipIf(!isFetched(family))(
    "KL within 1e-3, and agreement and perplexities, of each hybrid",
    async () => {
      const recorded = JSON.parse(await readFile(new URL(`fixtures/${family}.json`, import.meta.url), "utf8")) as Recorded;
      const { probe, close } = await nodeProbe(await familyFiles(family));
      await probe.readTokens(recorded.tokens, call);
      expect(recorded.cases.length).toBeGreaterThan(1);
      for (const { layers, ...expected } of recorded.cases) {
        const { totals } = (await probe.compare(layers, call)).comparison;
        expect(expected.kl).toBeGreaterThan(0.01);
        expect(totals.positions).toBe(expected.tokens);
        expect(Math.abs(totals.kl - expected.kl)).toBeLessThan(1e-3);
        expect(Math.abs(totals.agreement - expected.agreement)).toBeLessThan(1.5 / totals.positions); // a tie may fall either way
        expect(Math.abs(totals.perplexity! / expected.perplexity - 1)).toBeLessThan(1e-3);
        expect(Math.abs(totals.teacherPerplexity! / expected.teacher_perplexity - 1)).toBeLessThan(1e-3);
        expect(Math.abs(totals.ratio! / expected.perplexity_ratio - 1)).toBeLessThan(1e-3);
      }
      await close();
    },
    180_000,
  );
});
