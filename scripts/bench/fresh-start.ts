/** From `npm start` on a fresh clone to the first word of the stories model in the visitor's page. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright";
import { ensureChromium } from "../lib/chromium.mjs";
import { say } from "../lib/console.mjs";
import { root } from "../lib/paths.mjs";
import { run, SetupError } from "../lib/run.mjs";
import { freePort } from "./harness";
import { type Collected, quietLoad } from "./results";

/** What `npm start` prints when a step begins, in order; a step ends where the next begins. */
const steps: readonly [string, RegExp][] = [
  ["packages", /^npm packages: /],
  ["runtime", /^onnxruntime: /],
  ["build", /^build: compiling/],
  ["teacher", /: fetching what does not ship/],
  ["ready", /^Mambascope: http/],
];

/** Everything but npm's and pip's own caches of downloads is made anew. Throws SetupError. */
export async function measureFreshStart(collected: Collected): Promise<void> {
  say("── start");
  const executablePath = await ensureChromium();
  const load_average = await quietLoad();
  const temporary = await mkdtemp(path.join(tmpdir(), "mambascope-start-"));
  const clone = path.join(temporary, "clone");
  const { code, stderr } = await run("git", ["clone", "--quiet", "--no-hardlinks", root, clone]);
  if (code !== 0) throw new SetupError("clone", `The project could not be cloned: ${stderr.trim()}`, "Check the disk's free space.");

  const port = await freePort();
  const env = { ...process.env, MAMBASCOPE_HOME: path.join(temporary, "home"), PORT: String(port) };
  // What this very script was started with is not the visitor's.
  for (const name of Object.keys(env)) if (name === "MAMBASCOPE_PYTHON" || name.startsWith("npm_")) Reflect.deleteProperty(env, name);
  const begun = performance.now();
  const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10;
  const app = spawn("npm", ["start"], { cwd: clone, env, stdio: ["ignore", "pipe", "inherit"], detached: true });
  try {
    const phases = await timedSteps(app.stdout, seconds);
    const opened = performance.now();
    const context = await chromium.launchPersistentContext(path.join(temporary, "profile"), { executablePath, args: ["--no-sandbox"] });
    const page = context.pages()[0] ?? (await context.newPage());
    await page.goto(`http://localhost:${port}/chat?family=stories&variant=attn50&provider=wasm`);
    await page.locator('[data-testid="slot-a"][data-status="ready"]').waitFor({ timeout: 120_000 });
    phases.push(["page and model", seconds(opened)]);
    const asked = performance.now();
    await page.locator("#prompt").fill("Once upon a time");
    await page.locator("#prompt").press("Enter");
    await page.waitForFunction(answerBegun, undefined, { polling: 10 });
    phases.push(["first token", Math.round(performance.now() - asked) / 1000]);
    const total = seconds(begun);
    await context.close();
    const of = { family: "stories", variant: "attn50", provider: "wasm", load_average, ...Object.fromEntries(phases.map(([name, value]) => [`${name.replaceAll(" ", "_")}_s`, value])) };
    collected.add({ metric: "speed.fresh_start", value: total, unit: "s", of });
  } finally {
    if (app.pid) process.kill(-app.pid, "SIGTERM");
    await new Promise((resolve) => (app.exitCode === null && app.signalCode === null ? app.once("exit", resolve) : resolve(null)));
    await rm(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** In the page: whether the answer has text of its own, besides the prompt that it continues. */
function answerBegun(): boolean {
  const answer = document.querySelector('[data-testid="answer"]');
  return [...(answer?.childNodes ?? [])].some((node) => node.nodeType === Node.TEXT_NODE && /\S/.test(node.textContent ?? ""));
}

/** How long each step took, until the app listens. Rejects with a SetupError if it ends before. */
function timedSteps(output: NodeJS.ReadableStream, seconds: (since: number) => number): Promise<[string, number][]> {
  const phases: [string, number][] = [];
  let next = 0;
  let since = performance.now();
  let name = "npm";
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: output });
    lines.on("close", () => reject(new SetupError("start", "`npm start` ended before it listened.", "See its messages above.")));
    lines.on("line", (line) => {
      say(`  ${line}`);
      const found = steps.findIndex(([, pattern], index) => index >= next && pattern.test(line));
      const step = steps[found];
      if (!step) return;
      phases.push([name, seconds(since)]);
      [name, since, next] = [step[0], performance.now(), found + 1];
      if (name === "ready") resolve(phases);
    });
  });
}
