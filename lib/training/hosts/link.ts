/** Keeps one connection to a node, makes it again when it breaks, and tells how it stands. */
import type { ErrorBody } from "../types";
import type { NodeAddress, NodeAddressInput } from "./address";
import { addressOf } from "./address";
import { connect, type AgentConnection, type ConnectOptions } from "./connection";
import { asNodeError, cancelledError, NodeError } from "./errors";

export type LinkState = {
  /** `lost`: a connection broke and is made again; `failed`: it could not be made, and is tried again while somebody keeps the link. */
  state: "idle" | "connecting" | "connected" | "lost" | "failed";
  error: ErrorBody | null;
  /** When it became so, in seconds since 1970. */
  since: number;
  /** Attempts since it last stood. */
  attempts: number;
};

export type LinkOptions = ConnectOptions & {
  /** First and longest wait before another attempt. */
  backoffMs?: { first: number; longest: number };
};

// What no new attempt mends by itself: the user must do something first.
const lasting = new Set(["host-key-changed", "host-key-unknown", "permission-denied", "ssh-missing", "ssh-config", "ssh-algorithms", "bad-address", "python-missing", "python-old", "garbage", "protocol", "python", "root"]);

export class NodeLink {
  readonly address: NodeAddress;
  private current: AgentConnection | null = null;
  private attempt: Promise<AgentConnection> | null = null;
  private stop = new AbortController();
  private keepers = 0;
  private timer: NodeJS.Timeout | undefined;
  private failed: { at: number; error: NodeError } | null = null;
  private readonly backoff: { first: number; longest: number };
  private readonly listeners = new Set<(state: LinkState) => void>();
  private now: LinkState = { state: "idle", error: null, since: Date.now() / 1000, attempts: 0 };

  constructor(
    node: NodeAddressInput,
    private readonly options: LinkOptions = {},
  ) {
    this.address = addressOf(node);
    this.backoff = options.backoffMs ?? { first: 1000, longest: 30_000 };
  }

  get state(): LinkState {
    return this.now;
  }

  /** The connection that stands now, or null. */
  get connection(): AgentConnection | null {
    return this.current;
  }

  /** `listener` is called at each change of state. Returns the way to stop. */
  subscribe(listener: (state: LinkState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The standing connection, or a new one: an attempt under way is shared. Rejects with NodeError. */
  async get(signal?: AbortSignal): Promise<AgentConnection> {
    if (signal?.aborted) throw cancelledError();
    if (this.current) return this.current;
    // Many who ask one after another must not make as many attempts: servers lock out who knocks too often.
    if (!this.attempt && this.failed && Date.now() - this.failed.at < this.backoff.first) throw this.failed.error;
    const attempt = this.tryNow();
    if (!signal) return attempt;
    // One who waits may leave; the attempt goes on for the others.
    return new Promise((resolve, reject) => {
      const leave = () => reject(cancelledError());
      signal.addEventListener("abort", leave, { once: true });
      attempt.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }

  /** Keeps the node connected: a broken connection is made again, with growing waits. Returns the way to let go. */
  keep(): () => void {
    this.keepers += 1;
    if (!this.current) this.tryNow().catch(() => undefined);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.keepers -= 1;
      if (this.keepers === 0) clearTimeout(this.timer);
    };
  }

  /** Closes the connection and stops all attempts; a later `get` or `keep` connects anew. */
  close(): void {
    clearTimeout(this.timer);
    this.stop.abort();
    this.stop = new AbortController();
    const connection = this.current;
    this.current = null;
    this.attempt = null;
    this.failed = null;
    connection?.close();
    this.become({ state: "idle", error: null, attempts: 0 });
  }

  private tryNow(): Promise<AgentConnection> {
    clearTimeout(this.timer);
    return (this.attempt ??= this.begin(this.stop.signal));
  }

  private async begin(stop: AbortSignal): Promise<AgentConnection> {
    this.become({ state: this.now.state === "lost" ? "lost" : "connecting", error: this.now.error, attempts: this.now.attempts + 1 });
    try {
      const connection = await connect(this.address, { ...this.options, signal: stop });
      if (stop.aborted) {
        connection.close();
        throw cancelledError();
      }
      this.attempt = null;
      this.failed = null;
      this.current = connection;
      this.become({ state: "connected", error: null, attempts: 0 });
      void connection.closed.then((error) => this.broke(connection, error));
      return connection;
    } catch (error) {
      const reason = asNodeError(error);
      if (!stop.aborted) {
        this.attempt = null;
        this.failed = { at: Date.now(), error: reason };
        this.become({ state: "failed", error: reason.toBody(), attempts: this.now.attempts });
        this.again(reason);
      }
      throw reason;
    }
  }

  private broke(connection: AgentConnection, error: NodeError): void {
    if (this.current !== connection) return;
    this.current = null;
    this.become({ state: "lost", error: error.toBody(), attempts: 0 });
    this.again(error);
  }

  private again(error: NodeError): void {
    clearTimeout(this.timer);
    if (this.keepers === 0) return;
    const { first, longest } = this.backoff;
    const wait = lasting.has(error.code) ? 10 * longest : Math.min(longest, first * 2 ** Math.min(this.now.attempts, 16));
    // Spread a little, so that many links do not all come at once.
    this.timer = setTimeout(() => {
      if (this.keepers > 0 && !this.current) this.tryNow().catch(() => undefined);
    }, wait * (0.75 + Math.random() / 2));
    this.timer.unref();
  }

  private become(change: Omit<LinkState, "since">): void {
    const since = change.state === this.now.state ? this.now.since : Date.now() / 1000;
    this.now = { ...change, since };
    for (const listener of this.listeners) listener(this.now);
  }
}
