/** The page's end of a worker: requests become promises, their progress and events callbacks, whatever the protocol says. */
import type { ErrorCode, ErrorData } from "./protocol";

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

/** The part of `Worker` that a connection uses, so that another transport can stand in for it. */
export type WorkerLike = Pick<Worker, "postMessage" | "terminate"> & {
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
};

/** A request of a protocol as the caller gives it: the connection adds the id. */
export type RequestBody<Request> = Request extends { id: number } ? Omit<Request, "id"> : never;

/** The answers that every protocol here has; others, of type `Event`, go to `onEvent`. */
type CommonAnswer<Progress> =
  | { id: number; type: "progress"; progress: Progress }
  | { id: number; type: "result"; result: unknown }
  | { id: number; type: "error"; error: ErrorData }
  | { id: null; type: "fault"; error: ErrorData };

export type CallHooks<Progress, Event> = {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly onEvent?: ((event: Event) => void) | undefined;
  /** Aborting sends a `cancel`. */
  readonly signal?: AbortSignal | undefined;
  /** Told the request's id at once, for other requests to name. */
  readonly onSent?: ((id: number) => void) | undefined;
};

type Pending<Progress, Event> = Pick<CallHooks<Progress, Event>, "onProgress" | "onEvent"> & {
  readonly resolve: (value: never) => void;
  readonly reject: (error: InferenceError) => void;
};

/** One worker, started by the first call and again after `end`. `name` stands in the message of its crash ("The probe worker stopped"). */
export class Connection<Request extends { id: number; type: string }, Results, Progress, Event extends { id: number }> {
  private worker: WorkerLike | null = null;
  private nextId = 1;
  private readonly pending = new Map<number, Pending<Progress, Event>>();
  private readonly faultListeners = new Set<(error: InferenceError) => void>();

  constructor(
    private readonly start: () => WorkerLike,
    private readonly name: string,
  ) {}

  /** True from the first call on, until the worker ends. */
  get running(): boolean {
    return this.worker !== null;
  }

  call<K extends keyof Results>(body: RequestBody<Request> & { type: K }, { onProgress, onEvent, signal, onSent }: CallHooks<Progress, Event> = {}): Promise<Results[K]> {
    return new Promise((resolve, reject) => {
      const target = this.ensureWorker();
      const id = this.nextId++;
      const cancel = (): void => this.sendCancel(target, id);
      const settle = (): void => signal?.removeEventListener("abort", cancel);
      this.pending.set(id, { resolve: (value) => (settle(), resolve(value)), reject: (error) => (settle(), reject(error)), onProgress, onEvent });
      target.postMessage({ ...body, id });
      onSent?.(id);
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Sends a `cancel` for every call that waits. */
  cancelAll(): void {
    if (this.worker) for (const target of this.pending.keys()) this.sendCancel(this.worker, target);
  }

  /** Ends the worker, which frees the heap and the GPU buffers at once, as asking a busy worker would not; waiting calls reject with `error`. */
  end(error: InferenceError): void {
    this.worker?.terminate();
    this.worker = null;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const entry of waiting) entry.reject(error);
  }

  /** Called when the worker dies without a request. Returns the way to stop listening. */
  onFault(listener: (error: InferenceError) => void): () => void {
    this.faultListeners.add(listener);
    return () => this.faultListeners.delete(listener);
  }

  private sendCancel(worker: WorkerLike, target: number): void {
    worker.postMessage({ id: this.nextId++, type: "cancel", target });
  }

  /** The session is gone, and what it held with it: a new worker starts clean. */
  private fault(error: InferenceError): void {
    this.end(error);
    for (const listener of this.faultListeners) listener(error);
  }

  private receive(answer: CommonAnswer<Progress> | (Event & { type: string })): void {
    if (answer.id === null) return this.fault(new InferenceError(answer.error));
    const entry = this.pending.get(answer.id);
    if (!entry) return;
    const common = answer as CommonAnswer<Progress>;
    if (common.type === "progress") return entry.onProgress?.(common.progress);
    if (common.type !== "result" && common.type !== "error") return entry.onEvent?.(answer as Event);
    this.pending.delete(answer.id);
    if (common.type === "result") entry.resolve(common.result as never);
    else entry.reject(new InferenceError(common.error));
  }

  private ensureWorker(): WorkerLike {
    if (this.worker) return this.worker;
    const started = this.start();
    started.onmessage = (event: MessageEvent) => {
      if (this.worker === started) this.receive(event.data as CommonAnswer<Progress>);
    };
    started.onerror = (event: ErrorEvent) => {
      const message = `The ${this.name} worker stopped: ${event.message || "unknown error"}.`;
      if (this.worker === started) this.fault(new InferenceError({ code: "internal", message, action: "Load the model again." }));
    };
    this.worker = started;
    return started;
  }
}

/** What a call rejects with whose worker was ended by the page. */
export const unloaded = (): InferenceError => new InferenceError({ code: "cancelled", message: "The model was unloaded.", action: "Load it again to go on." });
