/**
 * The typed protocol between a page and the inference worker: requests with an id, answers that carry the same id.
 *
 * One worker holds at most one model. WebAssembly memory never shrinks and a session's GPU buffers die with the worker, so giving
 * memory back for certain means ending the worker; two models side by side are therefore two workers (two clients).
 */
import { z } from "zod";

/** Where a model runs. `auto` takes WebGPU if the browser has a working adapter, else WebAssembly. */
export const providerChoiceSchema = z.enum(["auto", "webgpu", "wasm"]);
export type ProviderChoice = z.infer<typeof providerChoiceSchema>;
export type Provider = Exclude<ProviderChoice, "auto">;

/**
 * How matrices are held. `f32`: expanded to float32, equal to the trainer's numbers (the parity mode). `quantised`: four- and
 * eight-bit blocks (WebGPU only). `auto`: the provider's best choice: `f32` on WebAssembly, where it is also the fastest,
 * `quantised` on WebGPU.
 */
export const precisionSchema = z.enum(["auto", "f32", "quantised"]);
export type PrecisionChoice = z.infer<typeof precisionSchema>;
export type Precision = Exclude<PrecisionChoice, "auto">;

export const loadOptionsSchema = z
  .object({
    family: z.string().min(1),
    /** A variant named in the manifest. */
    variant: z.string().min(1).optional(),
    /** Or any layer pattern in its text form (`a.m~attn50.a2`). */
    pattern: z.string().min(1).optional(),
    provider: providerChoiceSchema.default("auto"),
    precision: precisionSchema.default("auto"),
    /** Tokens that prompt and answer may take together; at most the model's own limit. */
    contextLength: z.number().int().positive().optional(),
    /** WebAssembly threads; by default chosen from the machine. */
    threads: z.number().int().positive().optional(),
    /** Keep logits of every position (for `logits` requests); costs memory and time in prefill. */
    allLogits: z.boolean().default(false),
  })
  .refine((value) => (value.variant === undefined) !== (value.pattern === undefined), "give a variant or a pattern, not both");
export type LoadOptions = z.input<typeof loadOptionsSchema>;

export const chatMessageSchema = z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() });
export type ChatMessage = z.infer<typeof chatMessageSchema>;

/** How the next token is drawn. A temperature of 0 is greedy; the filters apply in the order top-k, top-p, min-p. */
export const samplingSchema = z.object({
  temperature: z.number().min(0).max(10).default(0.8),
  /** Keep the k most probable tokens; 0 turns it off. */
  topK: z.number().int().min(0).default(0),
  /** Keep the smallest set of tokens whose probability reaches p; 1 turns it off. */
  topP: z.number().gt(0).max(1).default(1),
  /** Drop tokens less probable than this fraction of the most probable one; 0 turns it off. */
  minP: z.number().min(0).max(1).default(0),
  /** Divides positive (multiplies negative) logits of tokens that occurred; 1 turns it off. */
  repetitionPenalty: z.number().gt(0).max(10).default(1),
  /** Same seed, same model, same prompt: same answer. Without one, a random seed is drawn and reported. */
  seed: z.number().int().min(0).max(0xffffffff).optional(),
});
export type Sampling = z.infer<typeof samplingSchema>;
export type SamplingInput = z.input<typeof samplingSchema>;

export const generateInputSchema = z.union([
  /** A conversation, rendered by the family's chat template. */
  z.object({ messages: z.array(chatMessageSchema).min(1) }),
  /** Text to continue as it stands. */
  z.object({ prompt: z.string() }),
  /** Token ids to continue as they stand. */
  z.object({ tokens: z.array(z.number().int().min(0)).min(1) }),
]);
export type GenerateInput = z.infer<typeof generateInputSchema>;

const id = z.number().int().nonnegative();
export const requestSchema = z.discriminatedUnion("type", [
  z.object({ id, type: z.literal("detect") }),
  z.object({ id, type: z.literal("load"), options: loadOptionsSchema }),
  z.object({
    id,
    type: z.literal("generate"),
    input: generateInputSchema,
    sampling: samplingSchema,
    maxTokens: z.number().int().positive(),
    /** Stop at the model's end-of-sequence tokens (default) or go on to `maxTokens`. */
    stopAtEos: z.boolean().default(true),
  }),
  /** Logits of each position of `tokens`, from an empty state: in one pass, or one token at a time. Needs `allLogits` at load. */
  z.object({ id, type: z.literal("logits"), tokens: z.array(z.number().int().min(0)).min(1), stepwise: z.boolean().default(false) }),
  z.object({ id, type: z.literal("tokenise"), text: z.string() }),
  z.object({ id, type: z.literal("info") }),
  /** Stops the request `target`; it then answers with its partial result, or with the error `cancelled`. */
  z.object({ id, type: z.literal("cancel"), target: id }),
]);
export type Request = z.infer<typeof requestSchema>;
export type RequestInput = z.input<typeof requestSchema>;

/** What the browser offers, with a sentence for the page. */
export type ProviderReport = {
  /** What `auto` would take. */
  chosen: Provider;
  webgpu: { available: boolean; reason: string; adapter: string | null };
  wasm: { threads: number; reason: string };
};

export type MemoryReport = {
  /** Bytes of the weights as the session holds them. */
  weightBytes: number;
  /** Bytes that the weights in use take in the bundle's files. */
  bundleBytes: number;
  /** Bytes of the key/value cache, now. */
  kvBytes: number;
  /** Bytes of the Mamba states (recurrent state and convolution window), now. */
  stateBytes: number;
  /** Bytes of the kept snapshot of the last turn (key/value cache and state). */
  snapshotBytes: number;
  /** What each further token adds to the key/value cache, by the accounting. */
  kvBytesPerToken: number;
  /** Size of the WebAssembly heap, if the browser tells. */
  heapBytes: number | null;
};

export type ModelInfo = {
  family: string;
  title: string;
  /** The variant's name, or null for a pattern given as text. */
  variant: string | null;
  pattern: string;
  layers: string[];
  attentionLayers: number;
  parameters: number;
  provider: Provider;
  /** Why this provider, in one sentence for the page. */
  providerReason: string;
  precision: Precision;
  threads: number;
  contextLength: number;
  vocabularySize: number;
  chatTemplate: boolean;
  /** What went wrong without stopping the load, in sentences for the page, such as that the browser's cache is full. */
  warnings: string[];
  memory: MemoryReport;
  timings: { downloadMs: number; expandMs: number; sessionMs: number; warmupMs: number; totalMs: number };
};

export type Progress = {
  phase: "manifest" | "download" | "expand" | "session" | "warmup" | "prefill";
  /** In `unit`; `total` is 0 where it is not known. */
  done: number;
  total: number;
  unit: "bytes" | "tokens" | "steps";
  /** One short line for the page. */
  message: string;
};

export type TokenEvent = {
  tokenId: number;
  /** Text that this token completed: may be empty while a character is incomplete. */
  text: string;
  /** Natural logarithm of the token's probability under the model (before temperature and filters). */
  logProbability: number;
  /** Count of tokens generated so far, this one included. */
  index: number;
  tokensPerSecond: number;
  memory: MemoryReport;
};

export type GenerationResult = {
  text: string;
  tokenIds: number[];
  finishReason: "stop" | "length" | "context" | "cancelled";
  promptTokens: number;
  /** Prompt tokens that were in the cache from the last turn. */
  reusedTokens: number;
  timeToFirstTokenMs: number;
  prefillTokensPerSecond: number;
  /** Decoding speed after the first token. */
  tokensPerSecond: number;
  seed: number;
  memory: MemoryReport;
};

export type LogitsResult = { logits: Float32Array; positions: number; vocabularySize: number };

/** What each request answers with. */
export type Results = {
  detect: ProviderReport;
  load: ModelInfo;
  generate: GenerationResult;
  logits: LogitsResult;
  tokenise: { tokens: number[] };
  info: { model: ModelInfo | null };
  cancel: { found: boolean };
};

/** Errors are data: what went wrong, and what the user can do. */
export const errorCodes = [
  "bad_request",
  "no_model",
  "busy",
  "cancelled",
  "no_webgpu",
  "device_lost",
  "out_of_memory",
  "context_too_long",
  "bundle_missing",
  "bundle_damaged",
  "bundle_version",
  "network",
  "unsupported",
  "internal",
] as const;
export type ErrorCode = (typeof errorCodes)[number];
export type ErrorData = { code: ErrorCode; message: string; action: string };

export type Answer =
  | { id: number; type: "progress"; progress: Progress }
  | { id: number; type: "stream"; token: TokenEvent }
  | { id: number; type: "result"; result: Results[keyof Results] }
  | { id: number; type: "error"; error: ErrorData }
  /** Sent without a request when the session died under the page, such as by a lost GPU device. */
  | { id: null; type: "fault"; error: ErrorData };
