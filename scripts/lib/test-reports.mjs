/** What the test runners' own reports say: how many tests passed, which failed and with what, which passed only when tried again. */

/**
 * @typedef {{ name: string, detail: string }} Told A test, and the head of its error.
 * @typedef {{ passed: number, failures: Told[], flaky: Told[] }} Outcome
 */

const longest = 2000;
const colours = /\u001b\[[0-9;]*m/g;
const head = (/** @type {string | undefined} */ text) => (text ?? "").replace(colours, "").trim().slice(0, longest);

/**
 * Vitest's JSON report. A file that could not be read or set up counts as a failure of its own.
 * @param {{ testResults: { name: string, status: string, message?: string, assertionResults: { fullName: string, status: string, failureMessages?: string[] }[] }[] }} report
 * @returns {Outcome}
 */
export function readVitest(report) {
  /** @type {Outcome} */
  const outcome = { passed: 0, failures: [], flaky: [] };
  for (const file of report.testResults) {
    let told = false;
    for (const test of file.assertionResults) {
      const entry = { name: `${file.name} › ${test.fullName}`, detail: head(test.failureMessages?.[0]) };
      if (test.status === "passed") outcome.passed += 1;
      if (test.status === "passed" && test.failureMessages?.length) outcome.flaky.push(entry);
      if (test.status === "failed") outcome.failures.push(entry);
      told ||= test.status === "failed";
    }
    if (file.status === "failed" && !told) outcome.failures.push({ name: file.name, detail: head(file.message) });
  }
  return outcome;
}

const entities = /** @type {const} */ ({ "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#10;": "\n", "&amp;": "&" });
const plain = (/** @type {string} */ text) => text.replace(/&(lt|gt|quot|apos|#10|amp);/g, (entity) => entities[/** @type {keyof typeof entities} */ (entity)]);

/**
 * Pytest's JUnit XML, of which only what pytest writes is understood.
 * @param {string} xml
 * @returns {Outcome}
 */
export function readPytest(xml) {
  /** @type {Outcome} */
  const outcome = { passed: 0, failures: [], flaky: [] };
  for (const [, attributes = "", body = ""] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const attribute = (/** @type {string} */ name) => plain(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const failure = /<(?:failure|error)\b[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body);
    if (failure) outcome.failures.push({ name: `${attribute("classname")} › ${attribute("name")}`, detail: head(plain(failure[1] ?? "")) });
    else if (!body.includes("<skipped")) outcome.passed += 1;
  }
  return outcome;
}

/**
 * @typedef {{ title: string, specs?: { title: string, file: string, tests: { projectName: string, status: string, results: { errors?: { message?: string }[] }[] }[] }[], suites?: Suite[] }} Suite
 */

/**
 * Playwright's JSON report. An error outside every test (a server that did not start) counts as a failure of its own.
 * @param {{ suites: Suite[], errors?: { message?: string }[] }} report
 * @returns {Outcome}
 */
export function readPlaywright(report) {
  /** @type {Outcome} */
  const outcome = { passed: 0, failures: [], flaky: [] };
  const read = (/** @type {Suite} */ suite) => {
    for (const spec of suite.specs ?? []) {
      for (const test of spec.tests) {
        const error = test.results.flatMap((result) => result.errors ?? []).map((one) => one.message)[0];
        const entry = { name: `[${test.projectName}] ${spec.file} › ${spec.title}`, detail: head(error) };
        if (test.status === "expected" || test.status === "flaky") outcome.passed += 1;
        if (test.status === "flaky") outcome.flaky.push(entry);
        if (test.status === "unexpected") outcome.failures.push(entry);
      }
    }
    suite.suites?.forEach(read);
  };
  report.suites.forEach(read);
  for (const error of report.errors ?? []) outcome.failures.push({ name: "outside the tests", detail: head(error.message) });
  return outcome;
}

/**
 * A run, and one more run of only what failed in it: what passes then is flaky.
 * @param {Outcome} first @param {Outcome} second @returns {Outcome}
 */
export function triedAgain(first, second) {
  const still = new Set(second.failures.map((test) => test.name));
  // A second run that failed as a whole, not in a test of the first, proves nothing.
  const proves = second.failures.every((test) => first.failures.some((before) => before.name === test.name));
  const flaky = proves && second.passed + still.size === first.failures.length ? first.failures.filter((test) => !still.has(test.name)) : [];
  return { passed: first.passed + flaky.length, failures: first.failures.filter((test) => !flaky.includes(test)), flaky: [...first.flaky, ...flaky] };
}
