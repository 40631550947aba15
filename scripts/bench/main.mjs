/** The benchmarks: `node scripts/bench/main.mjs parity|speed|speed-gpu|explore|speculative|speculative-gpu|exactness|runs|reliability|merge [what …]`; see the named file for what it measures. */
import path from "node:path";
import { runnerImport } from "vite";
import { say } from "../lib/console.mjs";
import { homeFolder, root } from "../lib/paths.mjs";
import { ensureVenv, installRequirements } from "../lib/python.mjs";
import { keepingNodeEnv } from "./node-env.mjs";

const [name = "", ...options] = process.argv.slice(2);
const benchmarks = ["parity", "speed", "speed-gpu", "explore", "speculative", "speculative-gpu", "exactness", "runs", "reliability", "merge"];
if (![...benchmarks, "exactness-worker"].includes(name)) {
  say(`Name a benchmark: ${benchmarks.join(", ")}.`);
  process.exitCode = 2;
} else {
  try {
    if (name === "reliability") await prepareTrainer();
    const runtime = name.endsWith("-gpu") ? await (await import("./node-webgpu.mjs")).nodeWebGpu() : [];
    const file = path.join(root, "scripts", "bench", `${name}.ts`);
    const { module } = await keepingNodeEnv(() => runnerImport(file, { configFile: false, root, logLevel: "error", resolve: { alias: { "@": root } } }));
    process.exitCode = await /** @type {{ main: (options: string[], ...runtime: unknown[]) => Promise<number> }} */ (module).main(options, ...runtime);
  } catch (error) {
    // The benchmarks' modules are Vite's copies, so the class is another one.
    if (!(error instanceof Error && "action" in error)) throw error;
    say(`\n${error.message}\n${error.action}`);
    process.exitCode = 1;
  }
  if (name.endsWith("-gpu")) process.exit(); // the driver's threads would keep the process
}

/** Real runs need the trainer's environment, which the modules below look for when they are loaded. */
async function prepareTrainer() {
  process.env.OMP_NUM_THREADS = "1";
  if (process.env.MAMBASCOPE_TEST_PYTHON) return;
  const python = await ensureVenv(homeFolder());
  await installRequirements(python, homeFolder(), "trainer/requirements-run.txt");
  process.env.MAMBASCOPE_TEST_PYTHON = python;
}
