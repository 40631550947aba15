/** How long a model takes to load: first from the server, then from the browser's own storage. */
import { say } from "../lib/console.mjs";
import type { ModelInfo } from "@/workers/protocol";
import { families } from "./families";
import type { Lab } from "./harness";
import { type Collected, median, quietLoad } from "./results";

const LOADS = 3;

export async function measureLoad(lab: Lab, collected: Collected): Promise<void> {
  say("── load");
  for (const { name: family } of families) {
    for (const variant of ["teacher", "attn50"]) {
      const load_average = await quietLoad();
      const [first, again]: [ModelInfo[], ModelInfo[]] = [[], []];
      for (let count = 0; count < LOADS; count++) {
        const browser = await lab.browser(); // a fresh profile: nothing is stored
        const load = (): Promise<ModelInfo> => browser.bench.load({ family, variant, provider: "wasm", contextLength: 2048 });
        first.push(await load());
        await browser.reload();
        again.push(await load());
        await browser.close();
      }
      const of = { family, variant, provider: "wasm", load_average };
      add(collected, { ...of, from: "server on the same machine" }, first);
      add(collected, { ...of, from: "browser storage" }, again);
    }
  }
}

/** The total, and the phases beside it, in milliseconds. */
function add(collected: Collected, of: Record<string, string | number>, loads: readonly ModelInfo[]): void {
  const middle = (value: (timings: ModelInfo["timings"]) => number): number => Math.round(median(loads.map(({ timings }) => value(timings))));
  const phases = { read: middle((t) => t.downloadMs), expand: middle((t) => t.expandMs), session: middle((t) => t.sessionMs), warmup: middle((t) => t.warmupMs) };
  collected.add({ metric: "speed.load", value: middle((t) => t.totalMs), unit: "ms", of: { ...of, ...phases, slowest: Math.round(Math.max(...loads.map(({ timings }) => timings.totalMs))), loads: loads.length } });
}
