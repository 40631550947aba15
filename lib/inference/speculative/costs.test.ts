import { describe, expect, it } from "vitest";
import { Costs } from "./costs";

describe("costs", () => {
  it("tells a slow moment from a dear pass", () => {
    const costs = new Costs();
    for (const tokens of [1, 2, 5]) costs.observeVerify(tokens, 10 + 2 * tokens);
    const ratio = costs.pass(5) / costs.pass(1);
    for (let slow = 0; slow < 60; slow++) costs.observeVerify(1, 48);
    expect(costs.pass(1)).toBeGreaterThan(40);
    expect(costs.pass(5) / costs.pass(1)).toBeGreaterThan(0.5 * ratio); // though no pass of five was seen
    for (let dear = 0; dear < 200; dear++) costs.observeVerify(1 + (dear % 2), dear % 2 === 0 ? 12 : 36);
    expect(costs.pass(2) / costs.pass(1)).toBeGreaterThan(2);
  });

  it("reads costs between and beyond those measured", () => {
    const costs = new Costs();
    costs.observeVerify(1, 10);
    costs.observeVerify(5, 18);
    expect([1, 3, 5, 9].map((tokens) => costs.pass(tokens))).toEqual([10, 14, 18, 26]);
  });

  it("mends an entry that began with an outlier", () => {
    const costs = new Costs();
    for (const tokens of [1, 2, 5]) costs.observeVerify(tokens, 10 + 2 * tokens);
    costs.observeDrafts(1, 30);
    for (let cycle = 0; cycle < 12; cycle++) {
      costs.observeDrafts(1, 3);
      costs.observeVerify(2, 14);
    }
    expect(costs.drafting(1)).toBeLessThan(5);
    expect(costs.pass(2)).toBeGreaterThan(10);
  });

  it("reads the time of more drafts from that of fewer, and forgets a draft that is left", () => {
    const costs = new Costs();
    expect(costs.drafting(3)).toBe(0);
    costs.observeDrafts(1, 3);
    expect([0, 1, 4].map((count) => costs.drafting(count))).toEqual([0, 3, 12]);
    costs.observeDrafts(4, 8);
    expect(costs.drafting(3)).toBeGreaterThan(costs.drafting(2));
    costs.forgetDrafts();
    expect(costs.drafting(4)).toBe(0);
  });
});
