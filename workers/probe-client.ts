/** The explorer's side of the probe worker: promises and callbacks over the typed protocol. */
import type { LayerSensitivity } from "@/lib/evaluation/types";
import type { ProbeProgress } from "@/lib/inference/probe/types";
import type { InferenceError } from "./client";
import type { ProbeLoadOptions, ProbeResults } from "./probe-protocol";

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
