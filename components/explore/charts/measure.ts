/** Decoding speed on this device: real models loaded one after the other, timed at growing contexts. Results last as long as the tab. */
import { createStore } from "zustand/vanilla";
import { createInferenceClient, InferenceError, type InferenceClient } from "@/workers/client";
import type { ErrorData, ModelInfo } from "@/workers/protocol";

/** Contexts to measure at, as far as the model allows. */
export const CONTEXTS = [64, 256, 1024, 2048] as const;
/** Tokens decoded at each; the first one is not timed. */
const DECODED = 17;

export type SpeedPoint = {
  readonly family: string;
  readonly pattern: string;
  readonly context: number;
  readonly tokensPerSecond: number;
  /** What it ran on, in words. */
  readonly device: string;
};

export type MeasureState = {
  readonly points: readonly SpeedPoint[];
  readonly running: { readonly family: string; readonly message: string; readonly done: number; readonly total: number } | null;
  readonly error: ErrorData | null;
};

export const measureStore = createStore<MeasureState>(() => ({ points: [], running: null, error: null }));

export type MeasureRequest = {
  readonly family: string;
  /** Patterns in text form, with names for the progress line. */
  readonly models: readonly { readonly label: string; readonly pattern: string }[];
  /** The model's limit. */
  readonly contextLimit: number;
  readonly vocabularySize: number;
};

/** The contexts that leave room to decode within `limit` tokens; a model smaller than all of them is measured at what it has. */
export function contextsWithin(limit: number): number[] {
  const fitting = CONTEXTS.filter((context) => context + DECODED <= limit);
  return fitting.length > 0 ? [...fitting] : [Math.max(1, limit - DECODED)];
}

/** A model and its device in words, such as `WebGPU, NVIDIA H100` or `WebAssembly, 2 threads`. */
export function describeDevice(info: Pick<ModelInfo, "provider" | "threads">, adapter: string | null): string {
  if (info.provider === "webgpu") return adapter ? `WebGPU, ${adapter}` : "WebGPU";
  return `WebAssembly, ${info.threads} ${info.threads === 1 ? "thread" : "threads"}`;
}

let current: { client: InferenceClient; abort: AbortController } | null = null;

/** Measures the models one after the other; does nothing while a measurement runs. What was measured before a failure or a cancel stays. */
export async function measure({ family, models, contextLimit, vocabularySize }: MeasureRequest, client = createInferenceClient()): Promise<void> {
  if (current) return;
  const abort = new AbortController();
  current = { client, abort };
  const contexts = contextsWithin(contextLimit);
  const total = models.length * (contexts.length + 1);
  let done = 0;
  const say = (message: string): void => {
    if (!abort.signal.aborted) measureStore.setState({ running: { family, message, done, total } });
  };
  measureStore.setState({ error: null });
  say("Starting");
  try {
    const longest = (contexts.at(-1) ?? 1) + DECODED;
    // Which tokens are read does not change the time; a spread over the vocabulary avoids one that stands out.
    const tokens = Array.from({ length: longest }, (_, index) => (index * 7919 + 13) % vocabularySize);
    const adapter = (await client.detect()).webgpu.adapter;
    for (const { label, pattern } of models) {
      say(`Loading ${label}`);
      const info = await client.load(
        { family, pattern, contextLength: longest },
        { signal: abort.signal, onProgress: ({ message }) => say(`${label}: ${message.toLowerCase()}`) },
      );
      done += 1;
      for (const context of contexts) {
        say(`${label}: decoding after ${context} tokens`);
        const result = await client.generate(
          { tokens: tokens.slice(0, context) },
          { sampling: { temperature: 0 }, maxTokens: DECODED, stopAtEos: false, signal: abort.signal },
        );
        if (abort.signal.aborted) return;
        done += 1;
        record({ family, pattern, context, tokensPerSecond: result.tokensPerSecond, device: describeDevice(info, adapter) });
      }
    }
  } catch (error) {
    if (!abort.signal.aborted) measureStore.setState({ error: asData(error) });
  } finally {
    current = null;
    client.unload();
    measureStore.setState({ running: null });
  }
}

/** Stops the measurement at once; its worker ends, and with it the memory it held. */
export function cancelMeasure(): void {
  current?.abort.abort();
  current?.client.unload();
}

function record(point: SpeedPoint): void {
  const others = measureStore.getState().points.filter(({ family, pattern, context }) => family !== point.family || pattern !== point.pattern || context !== point.context);
  measureStore.setState({ points: [...others, point] });
}

function asData(error: unknown): ErrorData {
  if (error instanceof InferenceError) return { code: error.code, message: error.message, action: error.action };
  return { code: "internal", message: String(error instanceof Error ? error.message : error), action: "Measure again." };
}
