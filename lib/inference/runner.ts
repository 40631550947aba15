/** A model in memory with its state: what the decode loop drives, whatever the provider. */
import type { HiddenStates } from "./hidden-states";

export type RunnerMemory = {
  readonly weightBytes: number;
  /** Key/value cache of the tokens held; the buffers may be larger, see `reservedBytes`. */
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly snapshotBytes: number;
  /** Everything allocated for cache, states and snapshot. */
  readonly reservedBytes: number;
  readonly heapBytes: number | null;
};

export interface Runner {
  /** Tokens that the state holds. */
  readonly position: number;
  readonly contextLength: number;
  /** How many prompt tokens to read at a time. */
  chunk: number;
  /** Hidden states behind the last norm of the tokens read, if the runner was opened to give them. Those of the first `position` tokens hold. */
  readonly hiddenStates: HiddenStates | null;
  /** True for a feature draft's graph: each pass must be given `features`, (tokens, D), and that of no other graph may be. */
  readonly takesFeatures: boolean;
  /** Reads tokens; returns the logits after the last one, or after each one if the graph was built so. Valid until the next call. */
  forward(tokens: readonly number[], features?: Float32Array): Promise<Float32Array>;
  /** Compiles and allocates what the first run would, and leaves the empty state. */
  warmUp(): Promise<void>;
  /** Back to the empty state. */
  reset(): void;
  /** Keeps the present state, in place of an earlier snapshot. */
  saveSnapshot(): Promise<void>;
  /** Position of the snapshot, or null. */
  readonly snapshotPosition: number | null;
  /** Back to the snapshot, which stays. */
  restoreSnapshot(): Promise<void>;
  /** True if the state can be cut back to any shorter length: there is no recurrent state. */
  readonly canTruncate: boolean;
  truncate(position: number): void;
  memory(): RunnerMemory;
  dispose(): Promise<void>;
}

export type TentativeRead = {
  /** Logits after each token, or after the last one only. */
  readonly rows: "all" | "last";
  /** True if another tentative read may follow before `keep`; false saves keeping the state for it. */
  readonly more: boolean;
  /** The target's hidden states before each token, for a feature draft. */
  readonly features?: Float32Array | undefined;
};

export type RollbackMemory = {
  /** The recurrent states, one a layer, before the tokens that may be taken back. */
  readonly checkpointBytes: number;
  /** The inputs from which those tokens are replayed, for as many tokens as may be tentative at a time. */
  readonly inputBytes: number;
  /** What a state for each of those tokens would take instead. */
  readonly statePerTokenBytes: number;
};

/** What a cycle of a chain gave: greedy drafts, and the target's own choice after each place. */
export type ChainedCycle = {
  readonly drafts: readonly number[];
  /** The draft's probability of each. */
  readonly probabilities: readonly number[];
  /** The target's greedy choice behind the last token, and behind each draft: one more than there are drafts. */
  readonly choices: readonly number[];
  /** The target's logits in those places, if they were asked for. */
  readonly logits: Float32Array | null;
  /** What was submitted together cannot be told apart on the device: draftMs is the time to submit the draft, verifyMs goes on until the device has computed both. */
  readonly timings: { readonly draftMs: number; readonly verifyMs: number; readonly readbackMs: number };
  readonly readbackBytes: number;
};

/** A draft and a target on one device, whose greedy cycles need a single read-back. */
export interface Chain {
  /** Bytes of the weights that its graphs hold, beside the runners' own. */
  readonly weightBytes: number;
  has(steps: number): boolean;
  /** Loads the graph of so many draft steps, 1 to 8, if it is not there. Each holds the draft's weights once more. */
  prepare(steps: number): Promise<void>;
  /**
   * Reads `news` in the draft, has it choose `steps` tokens, and reads the last of `news` and those tokens in the target, whose state ends before it.
   * All of it is tentative in both: in the draft all but the last token. `features`: of `news`, for a feature draft, which goes on from its own hidden
   * states; else null. Logits: whether the target's are to be read too.
   */
  cycle(news: readonly number[], features: Float32Array | null, steps: number, logits: boolean): Promise<ChainedCycle>;
  dispose(): Promise<void>;
}

/** A runner whose last tokens can be taken back, whatever its layers: attention by length, recurrent states by replay. */
export interface RollbackRunner extends Runner {
  /** Most tokens that can be tentative at a time. */
  readonly span: number;
  /** Tokens read tentatively; they count in `position`. While there are any, no token can be read for good. */
  readonly tentative: number;
  /** Of the last tentative read: how long its logits took from the device, once computed. */
  readonly readbackMs: number;
  /** Reads tokens that may be taken back. The logits are valid until the next call. */
  read(tokens: readonly number[], options: TentativeRead): Promise<Float32Array>;
  /** Keeps the first `count` of the tentative tokens and takes the others back. */
  keep(count: number): void;
  rollbackMemory(): RollbackMemory;
}
