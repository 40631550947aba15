/** The benchmarks: `node scripts/bench/main.mjs parity|speed [what …]`; see the named file for what it measures. */
import path from "node:path";
import { runnerImport } from "vite";
import { say } from "../lib/console.mjs";
import { root } from "../lib/paths.mjs";
import { SetupError } from "../lib/run.mjs";

const [name = "", ...options] = process.argv.slice(2);
if (name !== "parity" && name !== "speed") {
  say("Name a benchmark: parity or speed.");
  process.exitCode = 2;
} else {
  try {
    const { module } = await runnerImport(path.join(root, "scripts", "bench", `${name}.ts`), {
      configFile: false,
      root,
      logLevel: "error",
      resolve: { alias: { "@": root } },
    });
    process.exitCode = await /** @type {{ main: (options: string[]) => Promise<number> }} */ (module).main(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`\n${error.message}\n${error.action}`);
    process.exitCode = 1;
  }
}
