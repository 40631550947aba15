/** One call to an agent under way: its bytes in both directions, its silence timer and its end. */
import { WINDOW_BYTES, CHUNK_BYTES, type AgentFrame, type ServerFrame } from "../agent/protocol";
import { NodeError, cancelledError } from "./errors";

export type CallOptions = {
  signal?: AbortSignal;
  /** Called with each JSON value that the operation sends before its result. */
  onEvent?: (value: unknown) => void;
  /** Called with each piece of bytes, one at a time; the agent waits while many are unanswered. */
  onData?: (chunk: Uint8Array) => void | Promise<void>;
  /** Bytes that go with the request. */
  input?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** The longest silence: without a frame for this long the call is cancelled and rejects. Default 30 s; 0: none. */
  timeoutMs?: number;
};

type Send = (frame: ServerFrame) => Promise<void>;

export class PendingCall {
  readonly result: Promise<unknown>;
  private settle: { resolve: (value: unknown) => void; reject: (error: NodeError) => void };
  private ended = false;
  private timer: NodeJS.Timeout | undefined;
  private delivered: Promise<void> = Promise.resolve();
  /** Pieces that the receiver has not taken yet: while it works, silence is not the node's. */
  private undelivered = 0;
  private unacknowledged = 0;
  private wake: (() => void) | null = null;
  private readonly onAbort = () => this.cancel(cancelledError());

  constructor(
    readonly id: number,
    private readonly op: string,
    private readonly options: CallOptions,
    private readonly send: Send,
    private readonly forget: () => void,
  ) {
    let settle: typeof this.settle | undefined;
    this.result = new Promise<unknown>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.settle = settle as unknown as typeof this.settle;
  }

  start(params: Record<string, unknown>): void {
    const { signal, input } = this.options;
    if (signal?.aborted) {
      this.end(cancelledError());
      return;
    }
    signal?.addEventListener("abort", this.onAbort, { once: true });
    this.listen();
    this.send({ id: this.id, op: this.op, params })
      .then(() => (input ? this.provide(input) : undefined))
      .catch((error: unknown) => this.cancel(error instanceof NodeError ? error : new NodeError("input", `What was to be sent could not be read: ${String(error)}.`, "Try again.")));
  }

  take(frame: AgentFrame): void {
    if (this.ended) return;
    this.listen();
    if ("got" in frame) {
      this.unacknowledged -= frame.got;
      this.wake?.();
    } else if ("data" in frame) {
      this.deliver(Buffer.from(frame.data, "base64"));
    } else if ("event" in frame) {
      this.tell(frame.event);
    } else if ("error" in frame) {
      this.end(new NodeError(frame.error.code, frame.error.message, frame.error.action));
    } else {
      // The result follows the bytes: it counts when they were taken.
      const { result } = frame;
      this.delivered.then(() => this.end(null, result));
    }
  }

  /** Ends the call with an error, without a word to the agent. */
  fail(error: NodeError): void {
    this.end(error);
  }

  private cancel(error: NodeError): void {
    if (this.ended) return;
    void this.send({ id: this.id, cancel: true }).catch(() => undefined);
    this.end(error);
  }

  private end(error: NodeError | null, result?: unknown): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.timer);
    this.options.signal?.removeEventListener("abort", this.onAbort);
    this.forget();
    this.wake?.();
    if (error) this.settle.reject(error);
    else this.settle.resolve(result);
  }

  private listen(): void {
    const { timeoutMs = 30_000 } = this.options;
    clearTimeout(this.timer);
    if (timeoutMs === 0 || this.undelivered > 0) return;
    this.timer = setTimeout(() => {
      this.cancel(new NodeError("timeout", `The node did not answer within ${Math.round(timeoutMs / 1000)} seconds.`, "Check that the machine is not overloaded, then try again."));
    }, timeoutMs);
    this.timer.unref();
  }

  private tell(value: unknown): void {
    try {
      this.options.onEvent?.(value);
    } catch (error) {
      this.cancel(new NodeError("internal", `An answer could not be used: ${String(error)}.`, "Try again."));
    }
  }

  private deliver(chunk: Uint8Array): void {
    this.undelivered += 1;
    clearTimeout(this.timer);
    this.delivered = this.delivered.then(async () => {
      if (this.ended) return;
      try {
        await this.options.onData?.(chunk);
        this.undelivered -= 1;
        await this.send({ id: this.id, ack: chunk.byteLength });
        if (!this.ended) this.listen();
      } catch (error) {
        this.cancel(error instanceof NodeError ? error : new NodeError("output", `What came could not be kept: ${String(error)}.`, "Check the disk's free space on this machine, then try again."));
      }
    });
  }

  private async provide(input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    for await (const block of input) {
      for (let start = 0; start < block.byteLength; start += CHUNK_BYTES) {
        while (this.unacknowledged >= WINDOW_BYTES && !this.ended) {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        }
        if (this.ended) return;
        const chunk = block.subarray(start, start + CHUNK_BYTES);
        this.unacknowledged += chunk.byteLength;
        await this.send({ id: this.id, data: Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("base64") });
      }
    }
    if (!this.ended) await this.send({ id: this.id, end: true });
  }
}
