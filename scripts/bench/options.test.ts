import { expect, it } from "vitest";
import { Options } from "./options";

it("takes words, lists and numbers apart", () => {
  const options = new Options(["stories", "drafts=draft2,lookup", "prompts=8", "out=a=b", "full"], ["drafts", "prompts", "tokens", "out"]);
  expect(options.words).toEqual(["stories", "full"]);
  expect([options.has("full"), options.has("prompts")]).toEqual([true, false]);
  expect(options.list("drafts")).toEqual(["draft2", "lookup"]);
  expect([options.number("prompts", 20), options.number("tokens", 128)]).toEqual([8, 128]);
  expect([options.text("out"), options.text("tokens")]).toEqual(["a=b", undefined]);
});

it("refuses what no benchmark would read, and numbers that are none", () => {
  expect(() => new Options(["prompt=8"], ["prompts"])).toThrow('There is no option "prompt="');
  for (const value of ["", "x", "0", "-3", "Infinity"]) expect(() => new Options([`prompts=${value}`], ["prompts"]).number("prompts", 20)).toThrow("not a number above zero");
});
