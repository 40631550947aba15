import { type Checksum, createChecksum } from "./checksum";
import { WeightError } from "./errors";
import type { BundleFile } from "./manifest";

/** Where fetched bytes go. */
export interface FetchSink {
  write(chunk: Uint8Array): Promise<void>;
  /** Drops what was written, to begin again. */
  restart(): Promise<void>;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes of this file that are there; falls back when the file is begun again. */
  readonly onBytes?: (received: number) => void;
  /** Further attempts after broken connections and server faults. */
  readonly retries?: number;
  /** An attempt that brings nothing for so long is given up, in milliseconds. */
  readonly stallMs?: number;
  /** The wait before the first further attempt, in milliseconds; it doubles from one to the next, up to 8 s. */
  readonly backoffMs?: number;
  /** What to do if the server does not have the file. */
  readonly missingAction?: string;
}

const MAX_BACKOFF_MS = 8000;
const RETRIED_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An attempt that failed in a way that a further attempt may mend. */
class Interrupted extends Error {}

interface Transfer {
  readonly url: string;
  readonly file: BundleFile;
  readonly sink: FetchSink;
  readonly checksum: Checksum;
  readonly options: FetchOptions;
  received: number;
  /** The strong ETag of the content received so far. */
  etag: string | null;
}

/**
 * Fetches one file of a bundle into `sink`: resumes broken connections by range, gives up stalled ones, retries with
 * backoff, and checks size and SHA-256; a wrong sum is fetched once more past every HTTP cache. When it resolves, the
 * sink holds exactly the file. Throws WeightError (`file-missing`, `file-truncated`, `checksum-mismatch`, `network`,
 * `offline`), the signal's reason, or what the sink throws.
 */
export async function fetchFile(url: string, file: BundleFile, sink: FetchSink, options: FetchOptions = {}): Promise<void> {
  const transfer: Transfer = { url, file, sink, checksum: await createChecksum(), options, received: 0, etag: null };
  await receive(transfer);
  if (transfer.checksum.digest() === file.sha256) return;
  await restart(transfer);
  await receive(transfer);
  if (transfer.checksum.digest() === file.sha256) return;
  throw new WeightError(
    "checksum-mismatch",
    `"${file.name}" has another checksum than the manifest says, twice in a row: the copy on the server is damaged or of another version.`,
    "Fetch or export the bundle again.",
  );
}

async function receive(transfer: Transfer): Promise<void> {
  const { retries = 6, backoffMs = 250, signal } = transfer.options;
  for (let failures = 0; ; ) {
    try {
      await attempt(transfer);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Interrupted)) throw error;
      failures += 1;
      if (failures > retries) throw unreachable(transfer.file.name, error);
      await pause(Math.min(MAX_BACKOFF_MS, backoffMs * 2 ** (failures - 1)), signal);
    }
  }
}

/** One request, for what is missing. Throws Interrupted where another may do better. */
async function attempt(transfer: Transfer): Promise<void> {
  const { file, options } = transfer;
  const watch = watchStall(options.stallMs ?? 20_000, options.signal);
  try {
    // Without a strong ETag nothing says that the rest belongs to what is there.
    if (transfer.received > 0 && transfer.etag === null) await restart(transfer);
    const response = await interruptible(fetch(transfer.url, { headers: rangeHeaders(transfer), cache: "no-store", signal: watch.signal }));
    await begin(transfer, response);
    if (!response.body) throw new Interrupted("The answer has no body.");
    const reader = response.body.getReader();
    try {
      for (;;) {
        watch.touch();
        const { done, value } = await interruptible(reader.read());
        if (done) break;
        if (transfer.received + value.byteLength > file.bytes) throw wrongSize(file, `more than ${file.bytes}`);
        // The time that storing takes is no stall of the connection.
        watch.rest();
        transfer.checksum.update(value);
        await transfer.sink.write(value);
        transfer.received += value.byteLength;
        options.onBytes?.(transfer.received);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  } finally {
    watch.end();
  }
  if (transfer.received < file.bytes) throw new Interrupted(`The connection ended after ${transfer.received} of ${file.bytes} bytes.`);
}

function rangeHeaders({ received, etag }: Transfer): Record<string, string> {
  return received > 0 && etag !== null ? { Range: `bytes=${received}-`, "If-Range": etag } : {};
}

/** Judges the answer's head: throws what is wrong with it, or makes sink and answer begin at the same byte. */
async function begin(transfer: Transfer, response: Response): Promise<void> {
  const { file, options } = transfer;
  if (response.status === 206 && transfer.received > 0) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("Content-Range") ?? "");
    if (Number(range?.[1]) === transfer.received) {
      if (range?.[2] !== "*" && Number(range?.[2]) !== file.bytes) throw wrongSize(file, range?.[2] ?? "another number of");
      return;
    }
    await restart(transfer);
    throw new Interrupted("The server answered with another range than it was asked for.");
  }
  if (response.status === 416) {
    await restart(transfer);
    throw new Interrupted("The server has fewer bytes than were received before.");
  }
  if (response.status === 404 || response.status === 410) {
    throw new WeightError("file-missing", `"${file.name}" is not on the server.`, options.missingAction ?? "Fetch or export the bundle, then load again.");
  }
  if (RETRIED_STATUS.has(response.status)) throw new Interrupted(`The server answered ${response.status}.`);
  if (response.status !== 200) {
    throw new WeightError("network", `The server answered ${response.status} for "${file.name}".`, "Look at the server's log, then load again.");
  }
  // A compressed answer's length is not the file's.
  const length = response.headers.has("Content-Encoding") ? null : response.headers.get("Content-Length");
  if (length !== null && Number(length) !== file.bytes) throw wrongSize(file, length);
  if (transfer.received > 0) await restart(transfer);
  const etag = response.headers.get("ETag");
  transfer.etag = etag?.startsWith('"') && !response.headers.has("Content-Encoding") ? etag : null;
}

async function restart(transfer: Transfer): Promise<void> {
  transfer.received = 0;
  transfer.etag = null;
  transfer.checksum.reset();
  await transfer.sink.restart();
  transfer.options.onBytes?.(0);
}

function wrongSize(file: BundleFile, found: string): WeightError {
  return new WeightError(
    "file-truncated",
    `"${file.name}" has ${found} bytes on the server; the manifest says ${file.bytes}.`,
    "Fetch or export the bundle again.",
  );
}

function unreachable(name: string, cause: Interrupted): WeightError {
  const offline = typeof navigator !== "undefined" && navigator.onLine === false;
  return new WeightError(
    offline ? "offline" : "network",
    `"${name}" could not be fetched: ${offline ? "this computer is offline" : cause.message}`,
    offline ? "Connect to the network, then load again; models that are cached still work." : "Check that the server is running and can be reached, then load again.",
    { cause },
  );
}

/** Marks a failure of the network (not one of storing) as Interrupted. */
async function interruptible<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Interrupted(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** A signal that fires with the caller's, or once nothing was touched for `stallMs`. */
function watchStall(stallMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController();
  const forward = () => controller.abort(outer?.reason);
  if (outer?.aborted) forward();
  outer?.addEventListener("abort", forward, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rest = () => clearTimeout(timer);
  const touch = () => {
    rest();
    timer = setTimeout(() => controller.abort(new DOMException(`Nothing came for ${stallMs / 1000} s.`, "TimeoutError")), stallMs);
  };
  touch();
  return {
    signal: controller.signal,
    touch,
    rest,
    end: () => {
      rest();
      outer?.removeEventListener("abort", forward);
    },
  };
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const wake = () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
