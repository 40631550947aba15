/** npm run index:rebuild: makes the index of runs again from the run directories of this machine and the copies of those elsewhere. */
import path from "node:path";
import { runnerImport } from "vite";
import { say } from "./lib/console.mjs";
import { homeFolder, root } from "./lib/paths.mjs";

process.chdir(root);
try {
  const { module } = await runnerImport(path.join(root, "lib", "training", "follow", "rebuild.ts"), {
    configFile: false,
    root,
    logLevel: "error",
    resolve: { alias: { "@": root } },
  });
  const { rebuildIndex } = /** @type {typeof import("../lib/training/follow/rebuild")} */ (module);
  const { notice, nodes, problems } = await rebuildIndex(homeFolder(), root);
  if (notice) say(notice);
  for (const { node, runs } of nodes) say(`${node}: ${runs} ${runs === 1 ? "run" : "runs"}`);
  for (const problem of problems) say(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} catch (error) {
  // The modules are Vite's copies, so a class of theirs is another one.
  if (!(error instanceof Error && "action" in error)) throw error;
  say(`\n${error.message}\n${error.action}`);
  process.exitCode = 1;
}
