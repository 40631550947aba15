/**
 * `npm run bench:explore`: how long the explorer's computations take in Chromium on this machine's CPU, on two threads and a text of 256
 * tokens. Options: families to measure; only a run of the default one, SmolLM2, writes its results.
 */
import { say } from "../lib/console.mjs";
import { SetupError } from "../lib/run.mjs";
import { openLab, type Browser } from "./harness";
import { Collected, median, quietLoad, writeResults } from "./results";
import { passage } from "./texts";

const base = "smollm2-135m-instruct";
const SET = "aligned";
const TOKENS = 256;
const THREADS = 2;
const ROUNDS = 3;

export async function main(options: string[]): Promise<number> {
  const families = options.length > 0 ? options : [base];
  const collected = new Collected();
  const lab = await openLab();
  let version = "";
  try {
    for (const family of families) {
      say(`── ${family}`);
      const browser = await lab.browser();
      version = browser.version;
      await exploring(browser, family, collected);
      await browser.close();
    }
  } finally {
    await lab.close();
  }
  if (options.length === 0) say(`Wrote ${await writeResults("explore", "npm run bench:explore", version, collected.entries)}`);
  return 0;
}

async function exploring({ bench }: Browser, family: string, collected: Collected): Promise<void> {
  const load_average = await quietLoad();
  const info = await bench.probeLoad({ family, provider: "wasm", threads: THREADS });
  if (info.threads !== THREADS) throw new Error(`Asked for ${THREADS} threads; got ${info.threads}.`);
  if (!info.sets.some(({ name, layers }) => name === SET && layers.length === info.layers)) throw new SetupError("explore", `${family} has no set "${SET}" of all layers.`, "Name a family that has one.");

  const all = await bench.probeText(passage);
  const text = all.pieces.slice(0, TOKENS).join("");
  const half = Array.from({ length: info.layers }, (_, layer) => (layer % 2 === 0 ? "attention" : `mamba2:${SET}`));
  const middle = Math.floor(info.layers / 2);
  // Once each, so that weights are in place and code is compiled: a visitor's second change, not the first.
  await bench.probeCompare(half.map(() => `mamba2:${SET}`));

  const found: Record<"teacher" | "toggle_middle" | "toggle_first", number[]> = { teacher: [], toggle_middle: [], toggle_first: [] };
  let tokens = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await bench.probeText(passage.slice(0, 40));
    const read = await bench.probeText(text);
    tokens = read.tokens.length;
    found.teacher.push(read.seconds);
    await bench.probeCompare(half);
    found.toggle_middle.push(await toggled(bench, half, middle));
    found.toggle_first.push(await toggled(bench, half, 0));
  }
  const sweep = await bench.probeSweep(SET);
  const inside = await bench.probeInside(middle, SET);
  await bench.probeUnload();

  const of = { family, provider: "wasm", threads: THREADS, layers: info.layers, tokens, load_average };
  collected.add({ metric: "explore.load", value: info.seconds, unit: "s", of: { ...of, from: "server on the same machine" } });
  for (const [name, seconds] of Object.entries(found)) {
    const layer: Record<string, number> = name === "toggle_middle" ? { layer: middle } : name === "toggle_first" ? { layer: 0 } : {};
    collected.add({ metric: `explore.${name}`, value: median(seconds), unit: "s", of: { ...of, ...layer, rounds: ROUNDS, slowest: Number(Math.max(...seconds).toPrecision(4)) } });
  }
  collected.add({ metric: "explore.sweep", value: sweep.seconds, unit: "s", of: { ...of, swept: sweep.layers } });
  collected.add({ metric: "explore.inside", value: inside.seconds, unit: "s", of: { ...of, layer: middle, heads: inside.heads } });
}

/** Seconds from a change of one layer to its comparison; the pattern is put back. */
async function toggled(bench: Browser["bench"], pattern: readonly string[], layer: number): Promise<number> {
  const changed = pattern.map((spec, index) => (index !== layer ? spec : spec === "attention" ? `mamba2:${SET}` : "attention"));
  const { from, seconds } = await bench.probeCompare(changed);
  if (from !== layer) throw new Error(`Layer ${layer} was changed, and layers from ${from} on were computed.`);
  await bench.probeCompare([...pattern]);
  return seconds;
}
