/** The page's side of the inference worker: promises and callbacks over the typed protocol. */
import { Connection, type InferenceError, unloaded, type WorkerLike } from "./connection";
import type {
  Answer,
  GenerateInput,
  GenerationResult,
  LoadOptions,
  LogitsResult,
  ModelInfo,
  Progress,
  ProviderReport,
  RequestInput,
  Results,
  SamplingInput,
  TokenEvent,
} from "./protocol";

export { InferenceError, type WorkerLike } from "./connection";

export type CallOptions = {
  onProgress?: (progress: Progress) => void;
  /** Aborting sends a `cancel`; a generation then resolves with its partial text, everything else rejects with `cancelled`. */
  signal?: AbortSignal;
};
export type GenerateOptions = CallOptions & {
  sampling?: SamplingInput;
  maxTokens?: number;
  stopAtEos?: boolean;
  onToken?: (token: TokenEvent) => void;
};

export type InferenceClient = {
  /** What this browser can run on, and why. */
  detect(): Promise<ProviderReport>;
  /** Loads a model in place of the one held. */
  load(options: LoadOptions, call?: CallOptions): Promise<ModelInfo>;
  generate(input: GenerateInput, options?: GenerateOptions): Promise<GenerationResult>;
  /** Logits (positions x vocabulary) of a token sequence; needs `allLogits` at load. */
  logits(tokens: number[], stepwise?: boolean, call?: CallOptions): Promise<LogitsResult>;
  tokenise(text: string): Promise<number[]>;
  info(): Promise<ModelInfo | null>;
  /** Stops whatever runs now. */
  cancel(): void;
  /** Frees the model and ends the worker, so that all its memory returns; the next `load` starts a new one. */
  unload(): void;
  /** Called when the session dies without a request, such as by a lost GPU device. Returns the way to stop listening. */
  onFault(listener: (error: InferenceError) => void): () => void;
};

const startWorker = (): WorkerLike => new Worker(new URL("./inference.worker.ts", import.meta.url), { type: "module", name: "inference" });

/** One client is one worker is one model; make two for a side-by-side view. */
export function createInferenceClient(start: () => WorkerLike = startWorker): InferenceClient {
  const connection = new Connection<RequestInput, Results, Progress, Extract<Answer, { type: "stream" }>>(start, "inference");
  return {
    detect: () => connection.call({ type: "detect" }),
    load: (options, call) => connection.call({ type: "load", options }, call),
    generate: (input, { sampling = {}, maxTokens = 512, stopAtEos = true, onToken, ...call } = {}) =>
      connection.call({ type: "generate", input, sampling, maxTokens, stopAtEos }, { ...call, onEvent: ({ token }) => onToken?.(token) }),
    logits: (tokens, stepwise = false, call) => connection.call({ type: "logits", tokens, stepwise }, call),
    tokenise: async (text) => (await connection.call({ type: "tokenise", text })).tokens,
    info: async () => (connection.running ? (await connection.call({ type: "info" })).model : null),
    cancel: () => connection.cancelAll(),
    unload: () => connection.end(unloaded()),
    onFault: (listener) => connection.onFault(listener),
  };
}
