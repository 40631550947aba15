/** The page's side of the inference worker: promises and callbacks over the typed protocol. */
import type {
  Answer,
  ErrorCode,
  ErrorData,
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

/** A failure told by the worker: `message` says what went wrong, `action` what the user can do. */
export class InferenceError extends Error {
  readonly code: ErrorCode;
  readonly action: string;

  constructor(data: ErrorData) {
    super(data.message);
    this.name = "InferenceError";
    this.code = data.code;
    this.action = data.action;
  }
}

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

type Pending = {
  resolve: (value: never) => void;
  reject: (error: InferenceError) => void;
  onProgress: ((progress: Progress) => void) | undefined;
  onToken: ((token: TokenEvent) => void) | undefined;
};

type RequestBody = RequestInput extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

/** The part of `Worker` that the client uses, so that another transport can stand in for it. */
export type WorkerLike = Pick<Worker, "postMessage" | "terminate"> & {
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
};

const startWorker = (): WorkerLike => new Worker(new URL("./inference.worker.ts", import.meta.url), { type: "module", name: "inference" });

/** One client is one worker is one model; make two for a side-by-side view. */
export function createInferenceClient(start: () => WorkerLike = startWorker): InferenceClient {
  let worker: WorkerLike | null = null;
  let nextId = 1;
  const pending = new Map<number, Pending>();
  const faultListeners = new Set<(error: InferenceError) => void>();

  const failAll = (error: InferenceError): void => {
    const waiting = [...pending.values()];
    pending.clear();
    for (const entry of waiting) entry.reject(error);
  };

  /** The session is gone, and what it held with it: a new worker starts clean. */
  const endWorker = (error: InferenceError): void => {
    worker?.terminate();
    worker = null;
    failAll(error);
    for (const listener of faultListeners) listener(error);
  };

  const receive = (answer: Answer): void => {
    if (answer.type === "fault") return endWorker(new InferenceError(answer.error));
    const entry = pending.get(answer.id);
    if (!entry) return;
    if (answer.type === "progress") return entry.onProgress?.(answer.progress);
    if (answer.type === "stream") return entry.onToken?.(answer.token);
    pending.delete(answer.id);
    if (answer.type === "result") entry.resolve(answer.result as never);
    else entry.reject(new InferenceError(answer.error));
  };

  const ensureWorker = (): WorkerLike => {
    if (worker) return worker;
    const started = start();
    started.onmessage = (event: MessageEvent) => receive(event.data as Answer);
    started.onerror = (event: ErrorEvent) => {
      const message = `The inference worker stopped: ${event.message || "unknown error"}.`;
      if (worker === started) endWorker(new InferenceError({ code: "internal", message, action: "Load the model again." }));
    };
    worker = started;
    return started;
  };

  const call = <K extends keyof Results>(
    body: RequestBody & { type: K },
    options: CallOptions & { onToken?: ((token: TokenEvent) => void) | undefined } = {},
  ): Promise<Results[K]> =>
    new Promise<Results[K]>((resolve, reject) => {
      const target = ensureWorker();
      const id = nextId++;
      const { signal } = options;
      const cancel = (): void => target.postMessage({ id: nextId++, type: "cancel", target: id } satisfies RequestInput);
      const settle = (): void => signal?.removeEventListener("abort", cancel);
      pending.set(id, {
        resolve: (value) => (settle(), resolve(value)),
        reject: (error) => (settle(), reject(error)),
        onProgress: options.onProgress,
        onToken: options.onToken,
      });
      target.postMessage({ ...body, id });
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
    });

  return {
    detect: () => call({ type: "detect" }),
    load: (options, callOptions) => call({ type: "load", options }, callOptions),
    generate: (input, { sampling = {}, maxTokens = 512, stopAtEos = true, ...options } = {}) =>
      call({ type: "generate", input, sampling, maxTokens, stopAtEos }, options),
    logits: (tokens, stepwise = false, options) => call({ type: "logits", tokens, stepwise }, options),
    tokenise: async (text) => (await call({ type: "tokenise", text })).tokens,
    info: async () => (worker ? (await call({ type: "info" })).model : null),
    cancel: () => {
      for (const target of pending.keys()) worker?.postMessage({ id: nextId++, type: "cancel", target } satisfies RequestInput);
    },
    unload: () => {
      if (!worker) return;
      worker.terminate(); // frees the heap and the GPU buffers at once, which asking a busy worker would not
      worker = null;
      failAll(new InferenceError({ code: "cancelled", message: "The model was unloaded.", action: "Load it again to go on." }));
    },
    onFault: (listener) => {
      faultListeners.add(listener);
      return () => faultListeners.delete(listener);
    },
  };
}
