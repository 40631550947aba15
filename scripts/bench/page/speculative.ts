/** The speculative worker behind functions that a script calls. */
import { createSpeculativeClient } from "@/workers/speculative-client";
import type { BenchPage } from "./api";

type SpeculativeBench = Pick<BenchPage, "speculativeLoad" | "speculativeDraft" | "speculativeRun" | "speculativeSweep" | "speculativeUnload">;

export function speculativeBench(): SpeculativeBench {
  const client = createSpeculativeClient();
  return {
    speculativeLoad: (options) => client.load(options),
    speculativeDraft: (draft) => client.draft(draft),
    speculativeRun: (input, K, maxTokens, stop) => client.run(input, { K, maxTokens, stopAtEos: stop, probabilities: false }),
    speculativeSweep: (prompts, K, { maxTokens, stop, baseline }) => client.sweep(prompts, K, { maxTokens, stopAtEos: stop, baseline }),
    speculativeUnload: () => Promise.resolve(client.unload()),
  };
}
