/** The target's own first layers as its draft: early exit. */
import type { HybridConfig } from "@/lib/hybrid/config";
import { BadInputError } from "../errors";

/** The first `count` layers, with the last norm and the head of the whole. Throws BadInputError for a count that leaves none out. */
export function firstLayers({ family, architecture, layers }: HybridConfig, count: number): HybridConfig {
  if (count < 1 || count >= layers.length) {
    throw new BadInputError(`A draft of the first ${count} layers of ${layers.length} is not possible.`, `Choose 1 to ${layers.length - 1} layers.`);
  }
  return { family, architecture: { ...architecture, num_hidden_layers: count }, layers: layers.slice(0, count) };
}
