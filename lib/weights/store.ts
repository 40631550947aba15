import { WeightError } from "./errors";

/** A stored file that can be read by byte ranges. */
export interface StoredFile {
  readonly bytes: number;
  /** Bytes `[begin, end)`. May share memory with the store: do not write to it. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** A file being written. Nothing can open it before `commit`. */
export interface PendingFile {
  /** Appends; the chunk may be reused by the caller afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  /** Drops what was written, to begin again. */
  restart(): Promise<void>;
  /** Makes the file available under its key, in one step. */
  commit(): Promise<StoredFile>;
  /** Gives the file up; safe to call after `commit` or twice. */
  discard(): Promise<void>;
}

/** A key of a store and the size of its file. */
export interface StoredEntry {
  readonly key: string;
  readonly bytes: number;
}

/** Where files are kept. Keys are lower-case hexadecimal SHA-256 sums. */
export interface FileStore {
  readonly kind: "opfs" | "cache-storage" | "memory";
  open(key: string): Promise<StoredFile | undefined>;
  /** Begins a file of `bytes` bytes. May throw a QuotaExceededError, as its writes may. */
  create(key: string, bytes: number): Promise<PendingFile>;
  list(): Promise<StoredEntry[]>;
  delete(key: string): Promise<void>;
}

/** A view of memory as a stored file; reads share its memory. */
export function memoryFile(data: Uint8Array): StoredFile {
  return {
    bytes: data.byteLength,
    read: (begin, end) => Promise.resolve(data.subarray(begin, end)),
  };
}

/** A blob (or a file on disk) as a stored file. */
export function blobFile(blob: Blob): StoredFile {
  return {
    bytes: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
  };
}

/** Keeps files in memory, each in one allocation, for as long as the store lives. */
export class MemoryStore implements FileStore {
  readonly kind = "memory";
  readonly #files = new Map<string, Uint8Array>();

  open(key: string): Promise<StoredFile | undefined> {
    const data = this.#files.get(key);
    return Promise.resolve(data && memoryFile(data));
  }

  async create(key: string, bytes: number): Promise<PendingFile> {
    const data = allocate(bytes);
    let length = 0;
    return {
      write: async (chunk) => {
        data.set(chunk, length);
        length += chunk.byteLength;
      },
      restart: async () => {
        length = 0;
      },
      commit: async () => {
        const whole = data.subarray(0, length);
        this.#files.set(key, whole);
        return memoryFile(whole);
      },
      discard: async () => undefined,
    };
  }

  list(): Promise<StoredEntry[]> {
    return Promise.resolve([...this.#files].map(([key, data]) => ({ key, bytes: data.byteLength })));
  }

  delete(key: string): Promise<void> {
    this.#files.delete(key);
    return Promise.resolve();
  }
}

function allocate(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new WeightError(
      "out-of-memory",
      `The browser has no ${Math.ceil(bytes / 2 ** 20)} MiB of memory left for the weights.`,
      "Close other tabs or choose a smaller model, then load again.",
      { cause: error },
    );
  }
}
