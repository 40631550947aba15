import { afterEach, beforeEach, expect, it } from "vitest";
import { makeHome, type TestHome } from "../testing/home";
import { manyReaders } from "./many-readers";
import { manyLines } from "./million-lines";

let home: TestHome;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

it("200 readers of one run each get every line once", async () => {
  expect(await manyReaders(home.home, 200)).toMatchObject([{ value: 1, of: { readers: 200, readers_with_other_lines: 0 } }]);
});

it("a long run shows curves before it is read, and all of its lines then", async () => {
  // 100,000 lines are longer than what is read at once.
  const [finding] = await manyLines(home.home, 100_000);
  expect(finding?.of.first_points).toBeGreaterThan(100);
});
