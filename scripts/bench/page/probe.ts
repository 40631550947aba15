/** The explorer's worker, with the time from each request to its answer as the page sees it. */
import { createProbeClient } from "@/workers/probe-client";
import type { BenchPage, Timed } from "./api";

type ProbeBench = Pick<BenchPage, "probeLoad" | "probeText" | "probeCompare" | "probeSweep" | "probeInside" | "probeUnload">;

async function timed<T extends object>(work: Promise<T>): Promise<Timed<T>> {
  const begun = performance.now();
  const result = await work;
  return { ...result, seconds: (performance.now() - begun) / 1000 };
}

/** Only what a script reads is answered: matrices and logits stay in the page. */
export function probeBench(): ProbeBench {
  const probe = createProbeClient();
  return {
    probeLoad: (options) => timed(probe.load(options)),
    probeText: (text) => timed(probe.text(text)),
    probeCompare: async (layers) => {
      const { from, comparison, seconds } = await timed(probe.compare(layers));
      return { from, kl: comparison.totals.kl, seconds };
    },
    probeSweep: async (set) => {
      const { sensitivities, seconds } = await timed(probe.sensitivity(set));
      return { layers: sensitivities.length, seconds };
    },
    probeInside: async (layer, set) => {
      const { heads, seconds } = await timed(probe.inside(layer, set));
      return { heads, seconds };
    },
    probeUnload: () => Promise.resolve(probe.unload()),
  };
}
