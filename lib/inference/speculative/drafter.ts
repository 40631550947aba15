/** What drafts tokens for the target to verify. */
import type { Chain, ChainedCycle, RollbackMemory } from "../runner";
import type { SamplingOptions } from "../sampler";
import type { Draft } from "./acceptance";
import type { Copied } from "./lookup";

export type DraftRequest = {
  /** The most tokens to draft. */
  readonly count: number;
  readonly sampling: SamplingOptions;
  /** Asked after each draft with those so far: whether another is worth its time. */
  readonly goOn: (drafts: readonly Draft[]) => boolean;
};

export type DrafterMemory = RollbackMemory & {
  readonly kvBytes: number;
  /** Hidden states kept by a feature draft. */
  readonly featureBytes: number;
  readonly weightBytes: number;
};

export interface Drafter {
  /** True if single steps can be left out, so that `goOn` saves time. */
  readonly stepwise: boolean;
  readonly memory: DrafterMemory;
  /** Begins an answer: reads the prompt. The same seed gives the same drafts. */
  begin(prompt: readonly number[], seed: number, options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void }): Promise<void>;
  /** Drafts what may follow `tokens` (prompt and answer so far), in order; fewer than asked for, or none, if it has no more to say. */
  draft(tokens: readonly number[], request: DraftRequest): Promise<Draft[]>;
  /** Tokens that cost nothing to draft, at most `count`: where there are some, `draft` is not asked. */
  readonly copy?: ((tokens: readonly number[], count: number) => Copied) | undefined;
  /** Set if greedy drafts can go to the target without coming back from the device first. */
  readonly chain?: Chain | null;
  /**
   * As `draft` and the target's pass over `count` drafts at once, greedily, where the chain has a graph of as many steps. Null if the draft's context has no room.
   */
  draftAndVerify?(tokens: readonly number[], count: number, logits: boolean): Promise<ChainedCycle | null>;
  /** Back to the empty state. */
  clear?(): void;
  dispose(): Promise<void>;
}
