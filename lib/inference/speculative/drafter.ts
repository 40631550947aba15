/** What drafts tokens for the target to verify. */
import type { RollbackMemory } from "../runner";
import type { SamplingOptions } from "../sampler";
import type { Draft } from "./acceptance";

export type DraftRequest = {
  /** The most tokens to draft. */
  readonly count: number;
  readonly sampling: SamplingOptions;
  /** Asked after each draft with those so far: whether another is worth its time. */
  readonly goOn: (drafts: readonly Draft[]) => boolean;
};

export type DrafterMemory = RollbackMemory & { readonly kvBytes: number; readonly weightBytes: number };

export interface Drafter {
  /** True if single steps can be left out, so that `goOn` saves time. */
  readonly stepwise: boolean;
  readonly memory: DrafterMemory;
  /** Begins an answer: reads the prompt. The same seed gives the same drafts. */
  begin(prompt: readonly number[], seed: number, options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void }): Promise<void>;
  /** Drafts what may follow `tokens` (prompt and answer so far), in order; fewer than asked for, or none, if it has no more to say. */
  draft(tokens: readonly number[], request: DraftRequest): Promise<Draft[]>;
  dispose(): Promise<void>;
}
