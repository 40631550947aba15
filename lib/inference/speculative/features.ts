/** What a feature draft reads of its target: hidden states, one token late. */
import type { Manifest } from "@/lib/weights/manifest";
import { RuntimeError } from "../errors";
import type { RollbackRunner } from "../runner";

export type FeatureSource = Pick<RollbackRunner, "hiddenStates" | "position" | "tentative">;

/**
 * The target's hidden states before each of the `count` tokens from `position` on, (count, D). Throws RuntimeError if the target does not keep them, or
 * has not read those tokens' predecessors: a draft that read other numbers would be wrong from there on without a sign.
 */
export function targetFeatures({ hiddenStates, position: end, tentative }: FeatureSource, position: number, count: number): Float32Array {
  if (!hiddenStates) throw new RuntimeError("The draft reads its target's hidden states, and this target was loaded without them.");
  const read = end - tentative;
  if (position + count - 1 > read) throw new RuntimeError(`The draft wants the target's hidden states of ${position + count - 1} tokens; the target has read ${read}.`);
  try {
    return hiddenStates.before(position, count);
  } catch (cause) {
    throw new RuntimeError("The target's hidden states are not those of the whole text.", { cause });
  }
}

/** The model's own hidden state behind the last token that it read, (1, D): what a feature draft goes on from where its target has not read. */
export function ownFeature({ hiddenStates, position }: Pick<RollbackRunner, "hiddenStates" | "position">): Float32Array {
  if (!hiddenStates) throw new RuntimeError("The draft does not give its own hidden states.");
  return hiddenStates.before(position, 1);
}

/** Whether a family has a feature draft: its targets then keep their hidden states, so that any draft can be chosen at any time. */
export function hasFeatureDraft({ mixer_sets: sets }: Pick<Manifest, "mixer_sets">): boolean {
  return Object.values(sets).some(({ draft }) => draft?.features);
}
