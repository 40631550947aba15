import { describe, expect, it } from "vitest";
import type { Drafter } from "./drafter";
import { diskDrafter, fixtureBundle } from "./testing";

const fixture = fixtureBundle();
const prompt = [5, 80, 200, 300, 17];
const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

const open = (variant: string): Promise<Drafter> => diskDrafter(fixture, fixture.config("teacher"), { kind: "model", variant }, 96);
const draftsOf = (drafter: Drafter, tokens: readonly number[], count = 4) => drafter.draft(tokens, { count, sampling, goOn: () => true });

describe.each(["draft2", "draft2-attention"])("%s", (variant) => {
  it.each([1, 2, 3, 4])("drafts on from an answer that went its way by %i tokens, fewer or more of which were verified", async (count) => {
    const drafter = await open(variant);
    await drafter.begin(prompt.slice(0, -1), 1, {});
    const guessed = (await draftsOf(drafter, prompt)).map(({ token }) => token);
    const tokens = [...prompt, ...guessed.slice(0, count)];
    const found = await draftsOf(drafter, tokens);
    const fresh = await open(variant);
    await fresh.begin(tokens.slice(0, -1), 1, {});
    const expected = await draftsOf(fresh, tokens);
    expect(found.map(({ token }) => token)).toEqual(expected.map(({ token }) => token));
    found.forEach(({ q }, place) => expect(q).toBeCloseTo(expected[place]!.q, 4));
    await drafter.dispose();
    await fresh.dispose();
  });
});
