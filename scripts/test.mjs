/**
 * npm test: everything that npm start needs, then every check and test of the project. The last lines say what failed, and count.
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
import { readPlaywright, readPytest, readVitest, triedAgain } from "./lib/test-reports.mjs";
import { build, checkNode, copyRuntime, fetchTeachers, installPackages } from "./lib/setup.mjs";

/** @typedef {import("./lib/test-reports.mjs").Outcome} Outcome */

const chosen = process.argv.slice(2);
const wanted = (/** @type {string} */ name) => chosen.length === 0 || chosen.includes(name);
const reports = await mkdtemp(path.join(tmpdir(), "mambascope-test-"));
/** @type {Outcome} */
const total = { passed: 0, failures: [], flaky: [] };
/** @type {Outcome} */
const fine = { passed: 1, failures: [], flaky: [] };

/** @param {unknown} error */
const described = (error) => (error instanceof SetupError ? `${error.message}\n${error.action}` : String(error instanceof Error ? error.stack : error));

/** Runs a step and adds its outcome; a step that throws counts as one failure. @param {string} name @param {() => Promise<Outcome>} work */
async function step(name, work) {
  say(`\n── ${name}`);
  const begun = Date.now();
  /** @type {Outcome} */
  let outcome;
  try {
    outcome = await work();
  } catch (error) {
    outcome = { passed: 0, failures: [{ name, detail: described(error) }], flaky: [] };
    say(described(error));
  }
  total.passed += outcome.passed;
  total.failures.push(...outcome.failures);
  total.flaky.push(...outcome.flaky);
  say(`── ${name}: ${outcome.passed} passed, ${outcome.failures.length} failed, ${seconds(Date.now() - begun)}`);
}

/** A command that passes or fails as one; its output is shown if it fails. @param {string} command @param {string[]} args @param {{ cwd?: string }} [options] @returns {Promise<Outcome>} */
async function check(command, args, options = {}) {
  const { code, stdout, stderr } = await run(command, args, { cwd: root, ...options });
  if (code === 0) return fine;
  say(`${stdout}${stderr}`);
  return { passed: 0, failures: [{ name: [path.basename(command), ...args].join(" "), detail: `${stdout}${stderr}`.trim().slice(-2000) }], flaky: [] };
}

/** The outcome, with one failure more if the runner failed for a reason that no test shows. @param {string} runner @param {Outcome} outcome @param {number} code @returns {Outcome} */
const honest = (runner, outcome, code) =>
  code !== 0 && outcome.failures.length === 0 ? { ...outcome, failures: [{ name: runner, detail: `It ended with ${code} though no test failed: see its output above.` }] } : outcome;

const bin = (/** @type {string} */ name) => path.join(root, "node_modules", ...name.split("/"));
const json = async (/** @type {string} */ file) => JSON.parse(await readFile(file, "utf8"));

// Tests start real processes, servers and browsers, and a busy machine can starve one: what fails is tried once more, alone where
// the runner can, and named at the end if it passes then.

/** @param {string | null} python What runs the trainer in tests of launching; null: they are skipped. */
async function unit(python) {
  await ensureServers();
  const report = path.join(reports, "unit.json");
  const env = { ...process.env, ...(python && { MAMBASCOPE_TEST_PYTHON: python }) };
  const { code } = await run(process.execPath, [bin("vitest/vitest.mjs"), "run", "--retry=1", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`], { cwd: root, env, show: true });
  return honest("vitest", readVitest(await json(report)), code);
}

/** @param {string} python */
async function pytest(python) {
  const read = async (/** @type {string[]} */ ...more) => {
    const report = path.join(reports, "trainer.xml");
    const { code } = await run(python, ["-m", "pytest", "-q", "-o", `cache_dir=${path.join(reports, "pytest")}`, `--junitxml=${report}`, ...more], { cwd: path.join(root, "trainer"), show: true });
    return honest("pytest", readPytest(await readFile(report, "utf8")), code);
  };
  const first = await read("-n", String(Math.min(4, availableParallelism())));
  return first.failures.length === 0 ? first : triedAgain(first, await read("--last-failed"));
}

async function browser() {
  const report = path.join(reports, "e2e.json");
  const env = { ...process.env, CHROMIUM_PATH: await ensureChromium(), E2E_PORT: String(await freePort()), PLAYWRIGHT_JSON_OUTPUT_NAME: report };
  const { code } = await run(process.execPath, [bin("@playwright/test/cli.js"), "test", "--retries=1", "--reporter=list,json"], { cwd: root, env, show: true });
  return honest("playwright", readPlaywright(await json(report)), code);
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

  await step("build", async () => (await build(), fine));
  if (wanted("lint")) await step("lint", () => check(process.execPath, [bin("eslint/bin/eslint.js"), ".", "--max-warnings", "0"]));
  if (wanted("typecheck")) await step("typecheck", () => check(process.execPath, [bin("typescript/bin/tsc"), "--noEmit"]));
  const python = await trainer.catch(() => null);
  if (wanted("unit")) await step("unit", () => unit(python));
  if (wanted("trainer")) {
    const cwd = path.join(root, "trainer");
    await step("trainer packages", async () => (await trainer, fine));
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
  total.failures.push({ name: "set-up", detail: described(error) });
} finally {
  await rm(reports, { recursive: true, force: true });
}

/** @param {string} title @param {import("./lib/test-reports.mjs").Told[]} tests */
function list(title, tests) {
  for (const { name, detail } of tests) say(`\n${title}: ${name}\n${detail.replace(/^/gm, "  ")}`);
}
list("Passed only when tried again", total.flaky);
list("Failed", total.failures);
say(`\n${total.passed} passed (${total.flaky.length} only when tried again), ${total.failures.length} failed`);
process.exitCode = total.failures.length === 0 ? 0 : 1;
