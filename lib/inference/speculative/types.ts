/** What a speculative run tells of itself, as plain data. */

/** The most tokens that are drafted in a cycle. */
export const MAX_DRAFTED = 8;

/** Where drafts come from. */
export type DraftChoice =
  /** A small model with the target's tokenizer: a draft that ships, any hybrid of a family (the target's own if none is named). */
  | {
      readonly kind: "model";
      readonly family?: string | undefined;
      readonly variant?: string | undefined;
      readonly pattern?: string | undefined;
      /**
       * Draft among this many tokens only, for a cheaper head: the most frequent ones where the family has a token ranking (docs/contracts.md), else
       * the vocabulary's first. Left out: 8192 of a ranking, else all. 0: all.
       */
      readonly shortlist?: number | undefined;
      /** Copy, as a lookup does, where the last tokens occurred before, and ask the model elsewhere. */
      readonly lookup?: boolean | undefined;
    }
  /** The target's own first layers, with the target's last norm and head. */
  | { readonly kind: "layers"; readonly count: number; readonly shortlist?: number | undefined; readonly lookup?: boolean | undefined }
  /** What followed the longest earlier occurrence of the last `longest` tokens, or of as few as `shortest`. */
  | { readonly kind: "lookup"; readonly longest?: number | undefined; readonly shortest?: number | undefined };

/** Tokens drafted a cycle: 1 to MAX_DRAFTED, or as many as measured costs and acceptance make worth it. */
export type Drafted = number | "adaptive";

export type DraftToken = {
  readonly token: number;
  readonly text: string;
  /** Its probability under the draft (1 where the draft is certain, as a lookup is) and the target, as they are sampled from; greedy: as the models give them. */
  readonly q: number;
  /** Null for drafts behind the first rejected one: the target was not asked about this continuation. */
  readonly p: number | null;
  /** Null: not decided, since a draft before it was rejected. */
  readonly accepted: boolean | null;
};

/** How a token came about: drafted and accepted, put in a rejected draft's place, or added behind drafts that were all accepted. */
export type TokenTag = "accepted" | "corrected" | "bonus";

export type TaggedToken = {
  readonly token: number;
  /** Text that this token completed: may be empty while a character is incomplete. */
  readonly text: string;
  readonly tag: TokenTag;
};

/**
 * Parts of a cycle's measured time. Where the draft goes to the target on the device, both are submitted at once: `draftMs` is then the time to submit the
 * draft, `verifyMs` the rest until the device has computed both, and `readbackMs` what the results take from there.
 */
export type CycleTimings = { readonly draftMs: number; readonly verifyMs: number; readonly readbackMs: number; readonly otherMs: number };

/** One cycle: draft, verify, decide. */
export type Cycle = {
  readonly index: number;
  /** Tokens asked for (a lookup may find none); adaptive: drafted, of which fewer may have been verified. */
  readonly K: number;
  readonly drafts: readonly DraftToken[];
  readonly accepted: number;
  /** The token that ends the cycle: the target's own. `p`: its probability under the target (after a rejection: under what is left of it). */
  readonly decision: { readonly kind: "corrected" | "bonus"; readonly token: number; readonly text: string; readonly p: number };
  /** What the cycle adds to the answer: fewer than `accepted + 1` if an end token or the limit cuts it. */
  readonly tokens: readonly TaggedToken[];
  readonly timings: CycleTimings;
  /** How often results were waited for: each drafted token's and the verification's; once where they were submitted together. */
  readonly readBacks: number;
  /** Since the prompt was read, at the cycle's begin. */
  readonly startMs: number;
};

export type PositionAcceptance = { readonly position: number; readonly decided: number; readonly accepted: number };

export type SpeculativeMemory = {
  /** The target's recurrent states, one a layer. */
  readonly checkpointBytes: number;
  /** The inputs (of recurrence and window) from which K + 1 tokens can be replayed. */
  readonly inputBytes: number;
  /** What a state for each of those tokens would take instead of them. */
  readonly statePerTokenBytes: number;
  readonly draftCheckpointBytes: number;
  readonly draftInputBytes: number;
  readonly kvBytes: number;
  /** Hidden states kept for a feature draft: the target's and the draft's own. */
  readonly featureBytes: number;
  readonly weightBytes: number;
  readonly draftWeightBytes: number;
  readonly heapBytes: number | null;
};

export type Totals = {
  readonly cycles: number;
  /** Tokens of the answer. */
  readonly tokens: number;
  readonly drafted: number;
  readonly accepted: number;
  /** Accepted drafts over those decided: the chance that a draft is accepted if all before it were. */
  readonly acceptance: number;
  /** The same by place in the cycle, from 1. */
  readonly byPosition: readonly PositionAcceptance[];
  /** How many cycles accepted 0, 1, … drafts. */
  readonly acceptedLengths: readonly number[];
  /** Tokens of the answer a cycle, the target's own included. */
  readonly tokensPerCycle: number;
  readonly tokensPerSecond: number;
  readonly readBacks: number;
  readonly timings: CycleTimings;
};

export type FinishReason = "stop" | "length" | "context" | "cancelled";

export type SpeculativeResult = {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly prefillMs: number;
  /** From the end of the prompt to the last token, without waiting for `next` or slow motion. */
  readonly decodeMs: number;
  readonly seed: number;
  readonly totals: Totals;
  readonly memory: SpeculativeMemory;
};

/** The baseline: the same session, one token a pass. */
export type PlainResult = Omit<SpeculativeResult, "totals" | "memory"> & { readonly tokensPerSecond: number };
export type PlainToken = { readonly token: number; readonly text: string; readonly index: number; readonly milliseconds: number };

export type SpeculativeInfo = {
  readonly family: string;
  readonly title: string;
  readonly variant: string | null;
  readonly pattern: string;
  readonly layers: readonly string[];
  readonly attentionLayers: number;
  readonly parameters: number;
  readonly provider: "webgpu" | "wasm";
  readonly providerReason: string;
  readonly threads: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly chatTemplate: boolean;
  readonly draft: DraftChoice;
  /** For the page: "Stories 8M: Mamba-2, 2 layers", "The target's first 4 layers", "Prompt lookup". */
  readonly draftTitle: string;
  readonly draftParameters: number;
  readonly warnings: readonly string[];
  readonly loadMs: number;
  readonly memory: SpeculativeMemory;
};

/** One prompt run plainly and at one K, one after the other. */
export type SweepPoint = {
  readonly K: Drafted;
  /** Index into the sweep's prompts. */
  readonly prompt: number;
  readonly kind: string | null;
  readonly tokens: number;
  readonly plainTokensPerSecond: number;
  readonly tokensPerSecond: number;
  readonly speedup: number;
  /** Greedy: whether both gave the same tokens; null when sampling, whose draws differ. */
  readonly exact: boolean | null;
  readonly totals: Totals;
};

/** What a sweep found for one K over all prompts, with the theory's numbers (Leviathan et al., 2023, equations 1 and 5). */
export type SweepSummary = {
  readonly K: Drafted;
  /** Tokens over seconds, all prompts together, against plain decoding's. */
  readonly speedup: number;
  readonly tokensPerSecond: number;
  readonly plainTokensPerSecond: number;
  readonly acceptance: number;
  readonly tokensPerCycle: number;
  /** (1 - α^(K+1)) / (1 - α) tokens a cycle. Null for adaptive K. */
  readonly theoryTokensPerCycle: number | null;
  /** Cost of a cycle (K draft steps and a pass of K + 1 tokens) over that of plain decoding's one token, measured. */
  readonly costRatio: number;
  readonly theorySpeedup: number | null;
};

export type SweepResult = { readonly points: readonly SweepPoint[]; readonly summaries: readonly SweepSummary[] };
