import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "./paths.mjs";
import { run } from "./run.mjs";
import { type Outcome, readPlaywright, readPytest, readVitest, triedAgain } from "./test-reports.mjs";

let folder = "";
const bin = (...name: string[]) => path.join(root, "node_modules", ...name);
const report = async (name: string) => readFile(path.join(folder, name), "utf8");

beforeAll(async () => {
  // Inside the project, so that the runners find their packages.
  folder = await mkdtemp(path.join(root, "node_modules", ".reports-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const names = (tests: Outcome["failures"]) => tests.map((one) => one.name.replace(folder, "").replace(/^\//, ""));

test("vitest: passed, failed, flaky and skipped tests, and a file that cannot be read", async () => {
  const source = `import { expect, test } from "vitest";
    let runs = 0;
    test("good", () => undefined);
    test("late", () => { runs += 1; expect(runs).toBe(2); });
    test("bad", () => { expect("apple").toBe("pear"); });
    test.skip("left out", () => undefined);`;
  await writeFile(path.join(folder, "a.test.mjs"), source);
  await writeFile(path.join(folder, "b.test.mjs"), "throw new Error('no such set-up');");
  await writeFile(path.join(folder, "vitest.config.mjs"), 'export default { test: { include: ["*.test.mjs"], exclude: [] } };');
  await run(process.execPath, [bin("vitest", "vitest.mjs"), "run", "--root", folder, "--retry=1", "--reporter=json", `--outputFile.json=${path.join(folder, "v.json")}`], { cwd: folder });
  const outcome = readVitest(JSON.parse(await report("v.json")));
  expect(outcome.passed).toBe(2);
  expect(names(outcome.failures).sort()).toEqual(["a.test.mjs › bad", "b.test.mjs"]);
  expect(outcome.failures.map((one) => one.detail).join()).toMatch(/expected 'apple' to be 'pear'.*no such set-up/s);
  expect(names(outcome.flaky)).toEqual(["a.test.mjs › late"]);
});

test("playwright: passed, failed, flaky and skipped tests, and an error outside them", async () => {
  const source = `import { expect, test } from "@playwright/test";
    test("good", () => undefined);
    test("late", ({}, info) => { expect(info.retry).toBe(1); });
    test("bad", () => { expect("apple").toBe("pear"); });
    test.skip("left out", () => undefined);`;
  await mkdir(path.join(folder, "p"));
  await writeFile(path.join(folder, "p", "a.spec.mjs"), source);
  await writeFile(path.join(folder, "p", "playwright.config.mjs"), 'export default { projects: [{ name: "one" }] };');
  const env = { ...process.env, PLAYWRIGHT_JSON_OUTPUT_NAME: path.join(folder, "p.json") };
  const playwright = () => run(process.execPath, [bin("@playwright", "test", "cli.js"), "test", "--retries=1", "--reporter=json"], { cwd: path.join(folder, "p"), env });
  await playwright();
  const outcome = readPlaywright(JSON.parse(await report("p.json")));
  expect(outcome.passed).toBe(2);
  expect(names(outcome.failures)).toEqual(["[one] a.spec.mjs › bad"]);
  expect(outcome.failures[0]?.detail).toContain('Received: "apple"');
  expect(names(outcome.flaky)).toEqual(["[one] a.spec.mjs › late"]);

  await writeFile(path.join(folder, "p", "a.spec.mjs"), "throw new Error('no such set-up');");
  await playwright();
  expect(readPlaywright(JSON.parse(await report("p.json"))).failures[0]?.detail).toContain("no such set-up");
});

const python = process.env.MAMBASCOPE_TEST_PYTHON;
test.skipIf(!python)("pytest: passed, failed and skipped tests, and a file that cannot be read", async () => {
  const tests = await mkdtemp(path.join(tmpdir(), "mambascope-reports-"));
  const xml = path.join(tests, "report.xml");
  const source = ["import pytest", "def test_good(): pass", "def test_bad(): assert 'a<b&' == 'pear'", "@pytest.mark.skip", "def test_left(): pass"];
  await writeFile(path.join(tests, "test_a.py"), `${source.join("\n")}\n`);
  await run(python ?? "", ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, `--junitxml=${xml}`, tests], { cwd: tests });
  const outcome = readPytest(await readFile(xml, "utf8"));
  expect(outcome.passed).toBe(1);
  expect(outcome.failures.map((one) => one.name)).toEqual(["test_a › test_bad"]);
  expect(outcome.failures[0]?.detail).toContain("assert 'a<b&' == 'pear'");
  await writeFile(path.join(tests, "test_a.py"), "raise RuntimeError('no such set-up')\n");
  await run(python ?? "", ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, `--junitxml=${xml}`, tests], { cwd: tests });
  expect(readPytest(await readFile(xml, "utf8")).failures[0]?.detail).toContain("no such set-up");
  await rm(tests, { recursive: true });
});

test("a second run of what failed: what passes is flaky, what fails or does not run stays a failure", () => {
  const told = (...list: string[]) => list.map((name) => ({ name, detail: "" }));
  const first: Outcome = { passed: 3, failures: told("a", "b"), flaky: [] };
  expect(triedAgain(first, { passed: 1, failures: told("b"), flaky: [] })).toEqual({ passed: 4, failures: told("b"), flaky: told("a") });
  expect(triedAgain(first, { passed: 0, failures: told("pytest"), flaky: [] })).toEqual(first);
  expect(triedAgain(first, { passed: 1, failures: [], flaky: [] })).toEqual(first);
});
