/** A connection to the agent of one node: many calls at once over one pipe, watched by a heartbeat. */
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { z } from "zod";
import { agentFrameSchema, helloSchema, MAX_FRAME_BYTES, PROTOCOL, type AgentFrame, type AgentHello, type ServerFrame } from "../agent/protocol";
import { addressOf, type NodeAddress, type NodeAddressInput } from "./address";
import { agentPayload, bootMarker, channelCommand, noPythonMarker, openChannel, rootOf } from "./channel";
import { asNodeError, cancelledError, NodeError } from "./errors";
import { garbageError, lostError, noPythonError, oldPythonError, startError } from "./failures";
import { LineSplitter } from "./lines";
import { PendingCall, type CallOptions } from "./pending";

export type ConnectOptions = {
  signal?: AbortSignal;
  /** From the start of the process to the agent's first answer. */
  timeoutMs?: number;
  /** Time between pings; an agent that is silent for three of them is given up. */
  heartbeatMs?: number;
};

const noiseLimit = 64 * 1024;

/** Starts the agent on a node. Rejects with NodeError, whose `action` says how to mend it; never leaves a process behind. */
export async function connect(node: NodeAddressInput, { signal, timeoutMs = 30_000, heartbeatMs = 10_000 }: ConnectOptions = {}): Promise<AgentConnection> {
  const address = addressOf(node);
  if (signal?.aborted) throw cancelledError();
  const [payload, command] = await Promise.all([agentPayload(), channelCommand(address)]).catch((error: unknown) => {
    throw asNodeError(error);
  });
  if (signal?.aborted) throw cancelledError();
  const connection = new AgentConnection(address, openChannel(command), heartbeatMs);
  const abort = () => connection.fail(cancelledError());
  signal?.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(() => connection.fail(startError(address, connection.notes, "timeout")), timeoutMs);
  try {
    await connection.greet(payload);
    return connection;
  } catch (error) {
    connection.fail(asNodeError(error));
    throw connection.error ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export class AgentConnection {
  /** Resolves when the connection has ended, with the reason. */
  readonly closed: Promise<NodeError>;
  /** Why the connection ended; null while it stands. */
  error: NodeError | null = null;
  private facts: AgentHello | null = null;
  private readonly calls = new Map<number, PendingCall>();
  private nextId = 1;
  private booted: () => void = () => undefined;
  private readonly boot: Promise<void>;
  private awake = false;
  private draining: Promise<void> | null = null;
  private heard = Date.now();
  private heartbeat: NodeJS.Timeout | undefined;
  private close_: (error: NodeError) => void = () => undefined;
  private readonly lines: LineSplitter;
  /** What came before the agent's first word, for error messages. */
  readonly notes = { noise: "", noiseBytes: 0, stderr: "" };

  constructor(
    readonly address: NodeAddress,
    private readonly channel: ChildProcessWithoutNullStreams,
    private readonly heartbeatMs: number,
  ) {
    this.closed = new Promise((resolve) => {
      this.close_ = resolve;
    });
    this.boot = new Promise((resolve, reject) => {
      this.booted = resolve;
      void this.closed.then(reject);
    });
    this.boot.catch(() => undefined);
    this.lines = new LineSplitter(
      MAX_FRAME_BYTES,
      (line) => (this.awake ? this.frame(line) : this.noise(line)),
      () => this.fail(garbageError(this.address, "a line that has no end")),
    );
    channel.stdout.on("data", (chunk: Buffer) => {
      this.heard = Date.now();
      if (!this.error) this.lines.push(chunk);
      if (!this.awake && !this.error) this.countNoise(chunk.byteLength);
    });
    channel.stderr.on("data", (chunk: Buffer) => {
      this.notes.stderr = (this.notes.stderr + chunk.toString("utf8")).slice(-8192);
    });
    // A pipe that breaks is told by the process's end.
    channel.stdin.on("error", () => undefined);
    channel.on("error", (error) => this.fail(startError(this.address, this.notes, "spawn", error)));
    channel.on("close", (code) => this.fail(this.facts ? lostError(this.address, this.notes.stderr) : startError(this.address, this.notes, "exit", undefined, code)));
  }

  /** What the node said of itself when the connection was made. */
  get hello(): AgentHello {
    if (!this.facts) throw new NodeError("internal", "The node has not answered yet.", "Try again.");
    return this.facts;
  }

  /** The agent's first exchange: its source goes over, the root is set, its facts come back. */
  async greet(payload: Buffer): Promise<void> {
    await this.boot;
    this.channel.stdin.write(payload);
    const hello = helloSchema.safeParse(await this.call("hello", { root: rootOf(this.address) }, { timeoutMs: 0 }));
    if (!hello.success || hello.data.protocol !== PROTOCOL) {
      throw new NodeError("protocol", "The node answered in a way that this version does not know.", "Restart the dashboard; if it happens again, update it.");
    }
    this.facts = hello.data;
    this.heartbeat = setInterval(() => this.beat(), this.heartbeatMs);
    this.heartbeat.unref();
  }

  /** Runs an operation on the node. Rejects with NodeError: the operation's, `cancelled`, `timeout`, `connection-lost`. */
  call(op: string, params: Record<string, unknown> = {}, options: CallOptions = {}): Promise<unknown> {
    if (this.error) return Promise.reject(this.error);
    const id = this.nextId++;
    const call = new PendingCall(id, op, options, (frame) => this.send(frame), () => this.calls.delete(id));
    this.calls.set(id, call);
    call.start(params);
    return call.result;
  }

  /** Like `call`, with the answer checked. Rejects with NodeError `protocol` if it is not what the schema says. */
  async ask<T>(schema: z.ZodType<T>, op: string, params: Record<string, unknown> = {}, options: CallOptions = {}): Promise<T> {
    const answer = schema.safeParse(await this.call(op, params, options));
    if (answer.success) return answer.data;
    throw new NodeError("protocol", `The node's answer to ${op} cannot be used: ${answer.error.issues[0]?.message ?? "unknown form"}.`, "Restart the dashboard; if it happens again, update it.");
  }

  /** Ends the connection. Runs on the node go on. */
  close(): void {
    this.fail(new NodeError("closed", "The connection was closed.", "Connect again."));
  }

  /** Ends the connection for a reason: all calls under way reject with it. */
  fail(error: NodeError): void {
    if (this.error) return;
    this.error = error;
    clearInterval(this.heartbeat);
    for (const call of [...this.calls.values()]) call.fail(error);
    this.close_(error);
    // The agent ends when its input does; a process that does not is ended.
    this.channel.stdin.end();
    const kill = setTimeout(() => this.channel.kill("SIGKILL"), 5000);
    kill.unref();
    this.channel.once("close", () => clearTimeout(kill));
    if (!this.facts || error.code === "heartbeat") this.channel.kill("SIGTERM");
  }

  private send(frame: ServerFrame): Promise<void> {
    if (this.error) return Promise.reject(this.error);
    const line = `${JSON.stringify(frame)}\n`;
    if (line.length > MAX_FRAME_BYTES) return Promise.reject(new NodeError("too-large", "The request is too large for one message.", "Send it in smaller parts."));
    if (this.channel.stdin.write(line)) return Promise.resolve();
    // One wait for all senders: it ends when the pipe has room, or is gone.
    this.draining ??= new Promise<void>((resolve) => {
      const go = () => {
        this.channel.stdin.off("drain", go).off("close", go);
        this.draining = null;
        resolve();
      };
      this.channel.stdin.on("drain", go).on("close", go);
    });
    return this.draining;
  }

  private noise(line: Buffer): void {
    const text = line.toString("utf8").trim();
    const marker = bootMarker.exec(text);
    if (marker) {
      const version = [Number(marker[1]), Number(marker[2])] as const;
      if (version[0] < 3 || version[1] < 9) {
        this.fail(oldPythonError(this.address, version.join(".")));
        return;
      }
      this.awake = true;
      this.booted();
    } else if (text === noPythonMarker) {
      this.fail(noPythonError(this.address));
    } else if (this.notes.noise === "") {
      this.notes.noise = text.slice(0, 200);
    }
  }

  private countNoise(bytes: number): void {
    this.notes.noiseBytes += bytes;
    if (this.notes.noiseBytes > noiseLimit) this.fail(garbageError(this.address, this.notes.noise || this.lines.rest()));
  }

  private frame(line: Buffer): void {
    if (this.error) return;
    const frame = parseFrame(line);
    if (!frame) {
      this.fail(garbageError(this.address, line.subarray(0, 200).toString("utf8")));
      return;
    }
    // Frames of calls that were given up are still on their way for a while.
    this.calls.get(frame.id)?.take(frame);
  }

  private beat(): void {
    if (Date.now() - this.heard > 3 * this.heartbeatMs) {
      this.fail(new NodeError("heartbeat", "The node stopped answering.", "Check the network and the machine; the connection is made again by itself."));
      return;
    }
    this.call("ping", {}, { timeoutMs: 0 }).catch(() => undefined);
  }
}

function parseFrame(line: Buffer): AgentFrame | null {
  try {
    return agentFrameSchema.safeParse(JSON.parse(line.toString("utf8"))).data ?? null;
  } catch {
    return null;
  }
}
