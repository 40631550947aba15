import { afterEach, beforeEach, expect, it } from "vitest";
import { makeHome, type TestHome } from "../testing/home";
import { manyReaders } from "./many-readers";

let home: TestHome;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

it("200 readers of one run each get every line once", async () => {
  expect(await manyReaders(home.home, 200)).toMatchObject([{ value: 1, of: { readers: 200, readers_with_other_lines: 0 } }]);
});
