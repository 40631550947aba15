/** The explorer's side of the probe worker: promises and callbacks over the typed protocol. */
import type { LayerSensitivity, ProbeProgress } from "@/lib/inference/probe/types";
import { Connection, type InferenceError, unloaded, type WorkerLike } from "./connection";
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

const startWorker = (): WorkerLike => new Worker(new URL("./probe.worker.ts", import.meta.url), { type: "module", name: "probe" });

/** One client is one worker is one family. */
export function createProbeClient(start: () => WorkerLike = startWorker): ProbeClient {
  const connection = new Connection<ProbeRequestInput, ProbeResults, ProbeProgress, Extract<ProbeAnswer, { type: "partial" }>>(start, "probe");
  const unload = (): void => connection.end(unloaded());
  return {
    load: (options, call) => {
      unload(); // a WebAssembly heap never shrinks: the memory of the last family returns with its worker
      return connection.call({ type: "load", options }, call);
    },
    text: (text, call) => connection.call({ type: "text", text }, call),
    compare: (layers, call) => connection.call({ type: "compare", layers }, call),
    distances: (set, call) => connection.call({ type: "distances", set }, call),
    sensitivity: (set, { layers, onLayer, ...call } = {}) =>
      connection.call({ type: "sensitivity", set, ...(layers ? { layers } : {}) }, { ...call, onEvent: ({ sensitivity }) => onLayer?.(sensitivity) }),
    inside: (layer, set, call) => connection.call({ type: "inside", layer, set }, call),
    decode: async (tokens) => (await connection.call({ type: "decode", tokens })).pieces,
    unload,
    onFault: (listener) => connection.onFault(listener),
  };
}
