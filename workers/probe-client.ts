/** The explorer's side of the probe worker: promises and callbacks over the typed protocol. */
import type { LayerSensitivity, ProbeProgress } from "@/lib/inference/probe/types";
import { InferenceError, type WorkerLike } from "./client";
import type { ProbeAnswer, ProbeLoadOptions, ProbeRequestInput, ProbeResults } from "./probe-protocol";

export type ProbeCall = {
  onProgress?: (progress: ProbeProgress) => void;
  /** Aborting stops the work; the promise rejects with `cancelled`. */
  signal?: AbortSignal;
};

/** Requests run one after the other; a cancelled one leaves what was computed before as it was. */
export type ProbeClient = {
  load(options: ProbeLoadOptions, call?: ProbeCall): Promise<ProbeResults["load"]>;
  text(text: string, call?: ProbeCall): Promise<ProbeResults["text"]>;
  compare(layers: string[], call?: ProbeCall): Promise<ProbeResults["compare"]>;
  distances(set: string, call?: ProbeCall): Promise<ProbeResults["distances"]>;
  /** `onLayer` is called as each layer is done. A sweep yields to requests made after it: it is continued when they are done. */
  sensitivity(set: string, call?: ProbeCall & { layers?: number[]; onLayer?: (result: LayerSensitivity) => void }): Promise<ProbeResults["sensitivity"]>;
  inside(layer: number, set: string, call?: ProbeCall): Promise<ProbeResults["inside"]>;
  decode(tokens: number[]): Promise<string[]>;
  /** Ends the worker, so that all its memory returns; the next `load` starts a new one. */
  unload(): void;
  /** Called when the session dies without a request. Returns the way to stop listening. */
  onFault(listener: (error: InferenceError) => void): () => void;
};

type Pending = {
  readonly resolve: (value: never) => void;
  readonly reject: (error: InferenceError) => void;
  readonly onProgress: ((progress: ProbeProgress) => void) | undefined;
  readonly onLayer: ((result: LayerSensitivity) => void) | undefined;
};

type RequestBody = ProbeRequestInput extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

const startWorker = (): WorkerLike => new Worker(new URL("./probe.worker.ts", import.meta.url), { type: "module", name: "probe" });

/** One client is one worker is one family. */
export function createProbeClient(start: () => WorkerLike = startWorker): ProbeClient {
  let worker: WorkerLike | null = null;
  let used = false;
  let nextId = 1;
  const pending = new Map<number, Pending>();
  const faultListeners = new Set<(error: InferenceError) => void>();

  const failAll = (error: InferenceError): void => {
    const waiting = [...pending.values()];
    pending.clear();
    for (const entry of waiting) entry.reject(error);
  };

  const end = (error: InferenceError): void => {
    worker?.terminate();
    worker = null;
    used = false;
    failAll(error);
  };

  const fault = (error: InferenceError): void => {
    end(error);
    for (const listener of faultListeners) listener(error);
  };

  const unload = (): void => end(new InferenceError({ code: "cancelled", message: "The model was unloaded.", action: "Load it again to go on." }));

  const receive = (answer: ProbeAnswer): void => {
    if (answer.type === "fault") return fault(new InferenceError(answer.error));
    const entry = pending.get(answer.id);
    if (!entry) return;
    if (answer.type === "progress") return entry.onProgress?.(answer.progress);
    if (answer.type === "partial") return entry.onLayer?.(answer.sensitivity);
    pending.delete(answer.id);
    if (answer.type === "result") entry.resolve(answer.result as never);
    else entry.reject(new InferenceError(answer.error));
  };

  const ensureWorker = (): WorkerLike => {
    if (worker) return worker;
    const started = start();
    started.onmessage = (event: MessageEvent) => {
      if (worker === started) receive(event.data as ProbeAnswer);
    };
    started.onerror = (event: ErrorEvent) => {
      const message = `The probe worker stopped: ${event.message || "unknown error"}.`;
      if (worker === started) fault(new InferenceError({ code: "internal", message, action: "Load the model again." }));
    };
    worker = started;
    return started;
  };

  const call = <K extends keyof ProbeResults>(
    body: RequestBody & { type: K },
    { signal, onProgress, onLayer }: ProbeCall & { onLayer?: ((result: LayerSensitivity) => void) | undefined } = {},
  ): Promise<ProbeResults[K]> =>
    new Promise<ProbeResults[K]>((resolve, reject) => {
      const target = ensureWorker();
      const id = nextId++;
      const cancel = (): void => target.postMessage({ id: nextId++, type: "cancel", target: id } satisfies ProbeRequestInput);
      const settle = (): void => signal?.removeEventListener("abort", cancel);
      pending.set(id, { resolve: (value) => (settle(), resolve(value)), reject: (error) => (settle(), reject(error)), onProgress, onLayer });
      target.postMessage({ ...body, id });
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
    });

  return {
    load: (options, callOptions) => {
      if (used) unload(); // a WebAssembly heap never shrinks: the memory of the last family returns with its worker
      used = true;
      return call({ type: "load", options }, callOptions);
    },
    text: (text, callOptions) => call({ type: "text", text }, callOptions),
    compare: (layers, callOptions) => call({ type: "compare", layers }, callOptions),
    distances: (set, callOptions) => call({ type: "distances", set }, callOptions),
    sensitivity: (set, { layers, ...callOptions } = {}) => call({ type: "sensitivity", set, ...(layers ? { layers } : {}) }, callOptions),
    inside: (layer, set, callOptions) => call({ type: "inside", layer, set }, callOptions),
    decode: async (tokens) => (await call({ type: "decode", tokens })).pieces,
    unload,
    onFault: (listener) => {
      faultListeners.add(listener);
      return () => faultListeners.delete(listener);
    },
  };
}
