/** What accompanies a request through the probe. */
import { turn } from "../turn";
import type { ProbeProgress } from "./types";

export type Call = {
  /** Awaited between parts. Throws when the request was cancelled; may run more urgent work before it returns. */
  readonly checkpoint: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ProbeProgress) => void) | undefined;
};

/** A call that is stopped by `signal` alone. */
export function simpleCall(signal?: AbortSignal, onProgress?: (progress: ProbeProgress) => void): Call {
  const checkpoint = async (): Promise<void> => {
    signal?.throwIfAborted();
    await turn(); // lets a cancelling message through
    signal?.throwIfAborted();
  };
  return { checkpoint, signal, onProgress };
}
