/** Loading a hybrid from its bundle, and what can be done with it. */
import { accountFor } from "@/lib/hybrid/accounting";
import { isAttentionLayer, needsFeatures } from "@/lib/hybrid/config";
import { formatPattern } from "@/lib/hybrid/pattern";
import { resolveTensors, tensorBytes } from "@/lib/weights/manifest";
import { Context } from "./context";
import { BadInputError, type DeviceLostError, NoWebGpuError, UnsupportedError } from "./errors";
import { generate, type Generated, type GeneratedToken } from "./generate";
import { openBundle, openRunner } from "./open-runner";
import type { ProviderReport } from "./providers";
import type { Runner } from "./runner";
import type { Runtimes } from "./runtime";
import type { SamplingOptions } from "./sampler";
import { type ChatMessage, Tokenizer } from "./tokenizer";
import { turn } from "./turn";

export type LoadRequest = {
  readonly manifestUrl: string;
  /** One of the two: a variant of the manifest's, or a layer pattern in its text form. */
  readonly variant?: string | undefined;
  readonly pattern?: string | undefined;
  readonly provider: "auto" | "webgpu" | "wasm";
  readonly precision: "auto" | "f32" | "quantised";
  readonly contextLength?: number | undefined;
  readonly threads?: number | undefined;
  readonly allLogits: boolean;
};

export type LoadProgress = {
  readonly phase: "manifest" | "download" | "expand" | "session" | "warmup";
  readonly done: number;
  readonly total: number;
  readonly unit: "bytes" | "steps";
  readonly message: string;
};

export type LoadHooks = {
  readonly runtimes: Runtimes;
  readonly providers: ProviderReport;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onLost?: ((error: DeviceLostError) => void) | undefined;
};

export type Timings = { downloadMs: number; expandMs: number; sessionMs: number; warmupMs: number; totalMs: number };

export type ModelDescription = {
  readonly family: string;
  readonly title: string;
  readonly variant: string | null;
  readonly pattern: string;
  readonly layers: string[];
  readonly attentionLayers: number;
  readonly parameters: number;
  readonly provider: "webgpu" | "wasm";
  readonly providerReason: string;
  readonly precision: "f32" | "quantised";
  readonly threads: number;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly chatTemplate: boolean;
  /** What went wrong without stopping the load, in sentences for the page, such as that the browser's cache is full. */
  readonly warnings: string[];
  readonly timings: Timings;
};

export type MemoryReport = {
  readonly weightBytes: number;
  readonly bundleBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly snapshotBytes: number;
  readonly kvBytesPerToken: number;
  readonly heapBytes: number | null;
};

export type GenerateRequest = {
  readonly input: { readonly messages: readonly ChatMessage[] } | { readonly prompt: string } | { readonly tokens: readonly number[] };
  readonly sampling: SamplingOptions;
  readonly seed: number;
  readonly maxTokens: number;
  readonly stopAtEos: boolean;
  readonly signal?: AbortSignal;
  readonly onPrefill?: (done: number, total: number) => void;
};

export class Model {
  readonly context: Context;

  constructor(
    readonly description: ModelDescription,
    private readonly runner: Runner,
    private readonly tokenizer: Tokenizer,
    private readonly details: { eos: readonly number[]; bos: number | null; bundleBytes: number; kvBytesPerToken: number; allLogits: boolean },
  ) {
    this.context = new Context(runner);
  }

  tokenise(text: string): number[] {
    return this.tokenizer.encode(text);
  }

  /** The prompt's token ids; an empty text stands for the model's first token, since a model needs something to continue. */
  promptTokens(input: GenerateRequest["input"]): number[] {
    if ("messages" in input) return this.tokenizer.encodeChat(input.messages);
    const tokens = "tokens" in input ? [...input.tokens] : this.tokenizer.encode(input.prompt);
    const { bos, eos } = this.details;
    const { vocabularySize } = this.description;
    const unknown = tokens.find((token) => token >= vocabularySize);
    if (unknown !== undefined) throw new BadInputError(`Token ${unknown} is not in the vocabulary of ${vocabularySize}.`);
    if (tokens.length > 0) return tokens;
    const start = bos ?? eos[0];
    if (start === undefined) throw new BadInputError("The prompt is empty.", "Write something for the model to continue.");
    return [start];
  }

  generate({ input, sampling, seed, maxTokens, stopAtEos, signal, onPrefill }: GenerateRequest): AsyncGenerator<GeneratedToken, Generated, void> {
    if (this.details.allLogits) throw new BadInputError("The model was loaded to give all positions' logits.", "Load it without `allLogits` to generate.");
    return generate(this.context, this.promptTokens(input), {
      sampling,
      seed,
      maxTokens,
      stopTokens: new Set(stopAtEos ? this.details.eos : []),
      contextLength: this.description.contextLength,
      chunk: this.runner.chunk,
      decode: (tokens) => this.tokenizer.decode(tokens),
      ...(signal ? { signal } : {}),
      ...(onPrefill ? { onPrefill } : {}),
    });
  }

  /** Logits (positions x vocabulary) of `tokens` from the empty state, in one pass or token by token. */
  async logits(tokens: readonly number[], stepwise: boolean, signal?: AbortSignal): Promise<Float32Array> {
    if (!this.details.allLogits && !stepwise) throw new BadInputError("The model gives the last position's logits only.", "Load it with `allLogits`.");
    if (tokens.length > this.description.contextLength) throw new BadInputError(`${tokens.length} tokens; the context takes ${this.description.contextLength}.`);
    this.context.clear();
    const width = this.description.vocabularySize;
    const out = new Float32Array(tokens.length * width);
    const step = stepwise ? 1 : this.runner.chunk;
    for (let begin = 0; begin < tokens.length; begin += step) {
      await turn();
      signal?.throwIfAborted();
      out.set(await this.context.read(tokens.slice(begin, begin + step)), begin * width);
    }
    this.context.clear();
    return out;
  }

  memory(): MemoryReport {
    const { weightBytes, kvBytes, stateBytes, snapshotBytes, heapBytes } = this.runner.memory();
    const { bundleBytes, kvBytesPerToken } = this.details;
    return { weightBytes, bundleBytes, kvBytes, stateBytes, snapshotBytes: snapshotBytes + this.context.snapshotBytes, kvBytesPerToken, heapBytes };
  }

  dispose(): Promise<void> {
    return this.runner.dispose();
  }
}

/** Loads a hybrid: files (from the cache or the network), graph, session, and a first token to compile what is compiled lazily. */
export async function loadModel(request: LoadRequest, hooks: LoadHooks): Promise<Model> {
  const { signal } = hooks;
  const progress = (phase: LoadProgress["phase"], message: string, done = 0, total = 0, unit: LoadProgress["unit"] = "bytes"): void =>
    hooks.onProgress?.({ phase, message, done, total, unit });
  const started = performance.now();
  const { provider, reason, precision } = chooseProvider(request, hooks.providers);
  progress("manifest", "Reading the manifest");
  const bundle = await openBundle(request, hooks, (layers, { mixer_sets: sets }) => {
    if (needsFeatures(layers, sets)) throw new UnsupportedError("This draft reads the hidden states of the model that it drafts for, and cannot run alone.", "Choose it as a draft on the Speculate page.");
  });
  const { manifest, config } = bundle;
  const { architecture } = config;
  const limit = architecture.max_position_embeddings;
  const contextLength = Math.min(request.contextLength ?? limit, limit);
  const files = await bundle.tokenizer();
  const tokenizer = new Tokenizer(files.tokenizer as object, files.config as object);
  const downloaded = performance.now();

  const threads = provider === "wasm" ? Math.min(request.threads ?? hooks.providers.wasm.threads, hooks.providers.wasm.threads) : 1;
  const { runner, expandMs } = await openRunner(bundle, config, { provider, precision, contextLength, threads, allLogits: request.allLogits }, hooks);
  try {
    const created = performance.now();
    signal?.throwIfAborted();
    progress("warmup", "Warming up", 0, 1, "steps");
    await runner.warmUp();
    progress("warmup", "Ready", 1, 1, "steps");
    const account = accountFor(config, manifest.mixer_sets);
    const ended = performance.now();
    const description: ModelDescription = {
      family: manifest.family,
      title: manifest.title,
      variant: request.variant ?? null,
      pattern: formatPattern(config.layers),
      layers: [...config.layers],
      attentionLayers: config.layers.filter(isAttentionLayer).length,
      parameters: account.parameters,
      provider,
      providerReason: reason,
      precision,
      threads,
      contextLength,
      vocabularySize: architecture.vocab_size,
      chatTemplate: tokenizer.hasChatTemplate,
      warnings: bundle.warnings.map(({ message, action }) => `${message} ${action}`),
      timings: {
        downloadMs: downloaded - started,
        expandMs,
        sessionMs: created - downloaded - expandMs,
        warmupMs: ended - created,
        totalMs: ended - started,
      },
    };
    const { eos, bos } = manifest.special_tokens;
    const bundleBytes = resolveTensors(manifest, config).reduce((sum, { entry }) => sum + tensorBytes(entry), 0);
    return new Model(description, runner, tokenizer, { eos, bos, bundleBytes, kvBytesPerToken: account.kvBytesPerToken, allLogits: request.allLogits });
  } catch (error) {
    await runner.dispose();
    throw error;
  }
}

/** Which provider and precision, and why. Throws NoWebGpuError and UnsupportedError. */
export function chooseProvider(
  { provider: wanted, precision }: Pick<LoadRequest, "provider" | "precision">,
  providers: ProviderReport,
): { provider: "webgpu" | "wasm"; reason: string; precision: "f32" | "quantised" } {
  if (wanted === "webgpu" && !providers.webgpu.available) throw new NoWebGpuError(providers.webgpu.reason);
  const provider = wanted === "auto" ? providers.chosen : wanted;
  if (provider === "wasm" && precision === "quantised") {
    throw new UnsupportedError("On WebAssembly quantised products are slower than float32 ones by a factor of ten.", 'Choose the precision "f32", or WebGPU.');
  }
  const { webgpu, wasm } = providers;
  let reason = provider === "webgpu" ? webgpu.reason : `WebAssembly, ${wasm.reason}`;
  if (provider === "wasm") reason += wanted === "wasm" ? " Chosen by hand." : ` ${webgpu.reason}`;
  return { provider, reason, precision: precision === "auto" ? (provider === "wasm" ? "f32" : "quantised") : precision };
}
