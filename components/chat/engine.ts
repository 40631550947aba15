/** One loaded model: an inference worker and what the page shows of it. Lives as long as the tab, across pages. */
import { createStore, type StoreApi } from "zustand/vanilla";
import { createInferenceClient, InferenceError, type GenerateOptions } from "@/workers/client";
import type { ErrorData, GenerateInput, GenerationResult, MemoryReport, ModelInfo, Progress, ProviderChoice, ProviderReport } from "@/workers/protocol";
import type { Slot } from "./conversation";

export type Selection = { family: string; variant: string; provider: ProviderChoice };

export type EngineState = {
  status: "empty" | "loading" | "ready" | "failed";
  /** What is loaded, or is to be. */
  selection: Selection | null;
  progress: Progress | null;
  /** Download rate in bytes a second. */
  rate: number | null;
  info: ModelInfo | null;
  memory: MemoryReport | null;
  error: ErrorData | null;
};

export type Engine = {
  store: StoreApi<EngineState>;
  /** What this browser can run on. */
  detect(): Promise<ProviderReport>;
  /** Loads a selection unless it is loaded already. Resolves to whether it is ready; the reason is in the state if not. */
  load(selection: Selection): Promise<boolean>;
  cancelLoad(): void;
  generate(input: GenerateInput, options: GenerateOptions): Promise<GenerationResult>;
  unload(): void;
};

const empty: EngineState = { status: "empty", selection: null, progress: null, rate: null, info: null, memory: null, error: null };

/** Whether two selections name the same model on the same provider. */
export function sameSelection(one: Selection | null, other: Selection | null): boolean {
  return one?.family === other?.family && one?.variant === other?.variant && one?.provider === other?.provider;
}

/** An error as data, whatever was thrown. */
export function errorData(error: unknown): ErrorData {
  if (error instanceof InferenceError) return { code: error.code, message: error.message, action: error.action };
  return { code: "internal", message: String(error instanceof Error ? error.message : error), action: "Load the model again." };
}

function createEngine(): Engine {
  const client = createInferenceClient();
  const store = createStore<EngineState>(() => empty);
  let loading: Promise<boolean> | null = null;
  let answering: Promise<unknown> = Promise.resolve();

  client.onFault((error) => {
    if (store.getState().status !== "loading") store.setState({ ...empty, status: "failed", selection: store.getState().selection, error: errorData(error) });
  });

  const cancelLoad = (): void => {
    // Ending the worker stops every phase at once, also those that cannot be interrupted; what is in the cache stays.
    if (store.getState().status !== "loading") return;
    client.unload();
    store.setState(empty);
  };

  const start = async (selection: Selection): Promise<boolean> => {
    store.setState({ ...empty, status: "loading", selection });
    const current = () => store.getState().status === "loading" && store.getState().selection === selection;
    const meter = rateMeter();
    try {
      const info = await client.load(selection, {
        onProgress: (progress) => {
          if (current()) store.setState({ progress, rate: progress.phase === "download" ? meter(progress.done) : null });
        },
      });
      if (!current()) return false;
      store.setState({ status: "ready", info, memory: info.memory, progress: null, rate: null });
      return true;
    } catch (error) {
      if (current()) store.setState({ ...empty, status: "failed", selection, error: errorData(error) });
      return false;
    }
  };

  const load = async (selection: Selection): Promise<boolean> => {
    const { status, selection: held } = store.getState();
    if (sameSelection(held, selection)) {
      if (status === "ready") return true;
      if (status === "loading" && loading) return loading;
    }
    if (status === "loading") cancelLoad();
    else await answering.catch(() => undefined);
    loading = start(selection);
    return loading;
  };

  const generate = async (input: GenerateInput, options: GenerateOptions): Promise<GenerationResult> => {
    await answering.catch(() => undefined);
    const running = client.generate(input, {
      ...options,
      onToken: (token) => {
        store.setState({ memory: token.memory });
        options.onToken?.(token);
      },
    });
    answering = running;
    const result = await running;
    store.setState({ memory: result.memory });
    return result;
  };

  const unload = (): void => {
    client.unload();
    store.setState(empty);
  };

  return { store, detect: () => client.detect(), load, cancelLoad, generate, unload };
}

/** Bytes a second over the last few seconds, from a running count of bytes. */
function rateMeter(): (bytes: number) => number | null {
  const samples: { at: number; bytes: number }[] = [];
  return (bytes) => {
    const now = performance.now();
    samples.push({ at: now, bytes });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > 3000) samples.shift();
    const first = samples[0];
    if (!first || now - first.at < 100) return null;
    return (1000 * (bytes - first.bytes)) / (now - first.at);
  };
}

const engines = new Map<Slot, Engine>();

/** The engine of a column; made at first use. Only for the browser. */
export function engineOf(slot: Slot): Engine {
  const known = engines.get(slot);
  if (known) return known;
  const engine = createEngine();
  engines.set(slot, engine);
  return engine;
}
