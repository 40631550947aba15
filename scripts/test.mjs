/**
 * npm test: everything that npm start needs, then every check and test of the project. The last line counts them all.
 * `npm test -- unit e2e` runs only the named steps of: lint, typecheck, unit, trainer, e2e (the build always runs).
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { ensureChromium } from "./lib/chromium.mjs";
import { say, seconds } from "./lib/console.mjs";
import { homeFolder, root } from "./lib/paths.mjs";
import { ensureVenv, installRequirements } from "./lib/python.mjs";
import { run, SetupError } from "./lib/run.mjs";
import { ensureServers } from "./lib/servers.mjs";
import { build, checkNode, copyRuntime, fetchTeachers, installPackages } from "./lib/setup.mjs";

/** @typedef {{ passed: number, failed: number }} Count */

const chosen = process.argv.slice(2);
const wanted = (/** @type {string} */ name) => chosen.length === 0 || chosen.includes(name);
const reports = await mkdtemp(path.join(tmpdir(), "mambascope-test-"));
/** @type {Count} */
const total = { passed: 0, failed: 0 };

/** Runs a step and adds its count; a step that throws counts as one failure. @param {string} name @param {() => Promise<Count>} work */
async function step(name, work) {
  say(`\n── ${name}`);
  const begun = Date.now();
  let count;
  try {
    count = await work();
  } catch (error) {
    count = { passed: 0, failed: 1 };
    say(error instanceof SetupError ? `${error.message}\n${error.action}` : String(error instanceof Error ? error.stack : error));
  }
  total.passed += count.passed;
  total.failed += count.failed;
  say(`── ${name}: ${count.passed} passed, ${count.failed} failed, ${seconds(Date.now() - begun)}`);
}

/** A command that passes or fails as one; its output is shown if it fails. @param {string} command @param {string[]} args @param {{ cwd?: string }} [options] @returns {Promise<Count>} */
async function check(command, args, options = {}) {
  const { code, stdout, stderr } = await run(command, args, { cwd: root, ...options });
  if (code === 0) return { passed: 1, failed: 0 };
  say(`${stdout}${stderr}`);
  return { passed: 0, failed: 1 };
}

/** The count, with one failure more if the runner failed for a reason that no test shows. @param {Count} count @param {number} code @returns {Count} */
const honest = (count, code) => (code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count);

const bin = (/** @type {string} */ name) => path.join(root, "node_modules", ...name.split("/"));
const json = async (/** @type {string} */ file) => JSON.parse(await readFile(file, "utf8"));

/** @param {string | null} python What runs the trainer in tests of launching; null: they are skipped. */
async function unit(python) {
  await ensureServers();
  const report = path.join(reports, "unit.json");
  const env = { ...process.env, ...(python && { MAMBASCOPE_TEST_PYTHON: python }) };
  const { code } = await run(process.execPath, [bin("vitest/vitest.mjs"), "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`], { cwd: root, env, show: true });
  const { numPassedTests, numFailedTests } = await json(report);
  return honest({ passed: numPassedTests, failed: numFailedTests }, code);
}

/** @param {string} python */
async function pytest(python) {
  const report = path.join(reports, "trainer.xml");
  const { code } = await run(python, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", String(Math.min(4, availableParallelism())), `--junitxml=${report}`], { cwd: path.join(root, "trainer"), show: true });
  const [, suite = ""] = /<testsuite ([^>]*)>/.exec(await readFile(report, "utf8")) ?? [];
  const read = (/** @type {string} */ name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = read("failures") + read("errors");
  return honest({ passed: read("tests") - failed - read("skipped"), failed }, code);
}

async function browser() {
  const report = path.join(reports, "e2e.json");
  const env = { ...process.env, CHROMIUM_PATH: await ensureChromium(), E2E_PORT: String(await freePort()), PLAYWRIGHT_JSON_OUTPUT_NAME: report };
  const { code } = await run(process.execPath, [bin("@playwright/test/cli.js"), "test", "--reporter=list,json"], { cwd: root, env, show: true });
  const { stats } = await json(report);
  return honest({ passed: stats.expected + stats.flaky, failed: stats.unexpected }, code);
}

/** A port that nothing listens on, so that two checkouts can be tested at once. @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 3117));
    });
  });
}

try {
  checkNode();
  await installPackages();
  await copyRuntime();
  // The trainer's packages are large: they come while the app is checked.
  const trainer = wanted("trainer") || wanted("unit")
    ? ensureVenv(homeFolder()).then(
        async (python) => (await installRequirements(python, homeFolder(), "trainer/requirements.txt"), python),
      )
    : Promise.resolve("");
  trainer.catch(() => undefined);

  await step("build", async () => (await build(), { passed: 1, failed: 0 }));
  if (wanted("lint")) await step("lint", () => check(process.execPath, [bin("eslint/bin/eslint.js"), ".", "--max-warnings", "0"]));
  if (wanted("typecheck")) await step("typecheck", () => check(process.execPath, [bin("typescript/bin/tsc"), "--noEmit"]));
  const python = await trainer.catch(() => null);
  if (wanted("unit")) await step("unit", () => unit(python));
  if (wanted("trainer")) {
    const cwd = path.join(root, "trainer");
    await step("trainer packages", async () => (await trainer, { passed: 1, failed: 0 }));
    if (python) {
      await step("ruff", () => check(python, ["-m", "ruff", "check", "."], { cwd }));
      await step("mypy", () => check(python, ["-m", "mypy", "mambascope_trainer"], { cwd }));
      await step("trainer", () => pytest(python));
    }
  }
  await fetchTeachers();
  if (wanted("e2e")) await step("e2e", browser);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  total.failed += 1;
  say(`\n${error.message}\n${error.action}`);
} finally {
  await rm(reports, { recursive: true, force: true });
}
say(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
