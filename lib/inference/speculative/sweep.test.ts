import { expect, it } from "vitest";
import { expectedTokens } from "./sweep";

it("the theory's tokens a cycle", () => {
  expect(expectedTokens(0, 4)).toBe(1);
  expect(expectedTokens(1, 4)).toBe(5);
  expect(expectedTokens(0.5, 2)).toBe(1.75);
});
