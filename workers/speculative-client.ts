/** The page's side of the speculative worker: promises and callbacks over the typed protocol. */
import { Connection, type InferenceError, unloaded, type WorkerLike } from "./connection";
import type { GenerateInput, Progress, SamplingInput } from "./protocol";
import type {
  Cycle,
  DraftChoice,
  Drafted,
  Pace,
  PlainToken,
  SpeculativeEvent,
  SpeculativeLoadOptions,
  SpeculativeRequestInput,
  SpeculativeResults,
  SweepPoint,
} from "./speculative-protocol";

export type SpeculativeCall = {
  onProgress?: (progress: Progress) => void;
  /** Aborting ends a run with what there is; everything else rejects with `cancelled`. */
  signal?: AbortSignal;
};

export type RunOptions = SpeculativeCall & {
  sampling?: SamplingInput;
  K?: Drafted;
  maxTokens?: number;
  stopAtEos?: boolean;
  pace?: Pace;
  probabilities?: boolean;
  /** The answer's first token, which no cycle drafted. */
  onFirst?: (token: PlainToken) => void;
  onCycle?: (cycle: Cycle) => void;
};

export type SpeculativeClient = {
  /** Loads a target and its draft in place of those held. */
  load(options: SpeculativeLoadOptions, call?: SpeculativeCall): Promise<SpeculativeResults["load"]>;
  /** Replaces the draft. */
  draft(draft: DraftChoice, call?: SpeculativeCall): Promise<SpeculativeResults["draft"]>;
  /** `controls` of the promise steer the run while it goes. */
  run(input: GenerateInput, options?: RunOptions): Promise<SpeculativeResults["run"]> & { readonly controls: RunControls };
  plain(
    input: GenerateInput,
    options?: SpeculativeCall & { sampling?: SamplingInput; maxTokens?: number; stopAtEos?: boolean; onToken?: (token: PlainToken) => void },
  ): Promise<SpeculativeResults["plain"]>;
  sweep(
    prompts: { input: GenerateInput; kind?: string }[],
    K: Drafted[],
    options?: SpeculativeCall & { sampling?: SamplingInput; maxTokens?: number; stopAtEos?: boolean; baseline?: "each" | "once"; onPoint?: (point: SweepPoint) => void },
  ): Promise<SpeculativeResults["sweep"]>;
  tokenise(text: string): Promise<number[]>;
  /** Ends the worker, so that all its memory returns; the next `load` starts a new one. */
  unload(): void;
  onFault(listener: (error: InferenceError) => void): () => void;
};

export type RunControls = {
  pace(pace: Pace): void;
  /** The next cycle, in step mode. */
  next(): void;
};

const startWorker = (): WorkerLike => new Worker(new URL("./speculative.worker.ts", import.meta.url), { type: "module", name: "speculative" });
const GREEDY: SamplingInput = { temperature: 0 };
const RUN: Pace = { mode: "run" };

/** One client is one worker is one target with one draft. */
export function createSpeculativeClient(start: () => WorkerLike = startWorker): SpeculativeClient {
  const connection = new Connection<SpeculativeRequestInput, SpeculativeResults, Progress, SpeculativeEvent>(start, "speculative");
  const unload = (): void => connection.end(unloaded());
  const ignore = (): undefined => undefined; // a run that has ended is no longer steered
  return {
    load: (options, call) => {
      unload(); // a WebAssembly heap never shrinks
      return connection.call({ type: "load", options }, call);
    },
    draft: (draft, call) => connection.call({ type: "draft", draft }, call),
    run: (input, { sampling = GREEDY, K = "adaptive", maxTokens = 256, stopAtEos = true, pace = RUN, probabilities = true, onFirst, onCycle, ...call } = {}) => {
      let target = -1;
      const result = connection.call(
        { type: "run", input, sampling, K, maxTokens, stopAtEos, pace, probabilities },
        {
          ...call,
          onSent: (id) => (target = id),
          onEvent: (event) => {
            if (event.type === "first") onFirst?.(event.token);
            if (event.type === "cycle") onCycle?.(event.cycle);
          },
        },
      );
      const controls: RunControls = {
        pace: (changed) => void connection.call({ type: "pace", target, pace: changed }).catch(ignore),
        next: () => void connection.call({ type: "next", target }).catch(ignore),
      };
      return Object.assign(result, { controls });
    },
    plain: (input, { sampling = GREEDY, maxTokens = 256, stopAtEos = true, onToken, ...call } = {}) =>
      connection.call({ type: "plain", input, sampling, maxTokens, stopAtEos }, { ...call, onEvent: (event) => event.type === "token" && onToken?.(event.token) }),
    sweep: (prompts, K, { sampling = GREEDY, maxTokens = 128, stopAtEos = false, baseline = "each", onPoint, ...call } = {}) =>
      connection.call({ type: "sweep", prompts, K, sampling, maxTokens, stopAtEos, baseline }, { ...call, onEvent: (event) => event.type === "point" && onPoint?.(event.point) }),
    tokenise: async (text) => (await connection.call({ type: "tokenise", text })).tokens,
    unload,
    onFault: (listener) => connection.onFault(listener),
  };
}
