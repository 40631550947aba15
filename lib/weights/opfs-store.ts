import { blobFile, type FileStore, type PendingFile, type StoredEntry, type StoredFile } from "./store";

const DIRECTORY = "weights";
const TEMPORARY = ".part";

/** Renaming inside the origin private file system; not in TypeScript's DOM types yet. */
interface MovableFileHandle extends FileSystemFileHandle {
  move?(name: string): Promise<void>;
}

/** Iteration over a directory; not in the TypeScript libraries that this project takes. */
interface Directory extends FileSystemDirectoryHandle {
  entries(): AsyncIterable<[string, FileSystemHandle]>;
}

/** What both kinds of writer can do; positions are kept by the caller. */
interface Output {
  writeAt(position: number, chunk: Uint8Array<ArrayBuffer>): Promise<void>;
  truncate(): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/**
 * Keeps files in the origin private file system. A file is written under a temporary name of its own and renamed when it
 * is complete, so an interrupted write leaves nothing that `open` would find.
 */
export class OpfsStore implements FileStore {
  readonly kind = "opfs";

  private constructor(private readonly directory: Directory) {}

  /** Opens the store and clears what interrupted writes left. Throws a DOMException where the file system is not to be had. */
  static async open(): Promise<OpfsStore> {
    const root = await navigator.storage.getDirectory();
    const store = new OpfsStore((await root.getDirectoryHandle(DIRECTORY, { create: true })) as Directory);
    await store.sweep();
    return store;
  }

  /** True if this context has an origin private file system. */
  static isSupported(): boolean {
    return typeof navigator !== "undefined" && typeof navigator.storage?.getDirectory === "function";
  }

  async open(key: string): Promise<StoredFile | undefined> {
    try {
      const handle = await this.directory.getFileHandle(key);
      return blobFile(await handle.getFile());
    } catch (error) {
      if (isNamed(error, "NotFoundError")) return undefined;
      throw error;
    }
  }

  async create(key: string): Promise<PendingFile> {
    const name = `${key}.${crypto.randomUUID()}${TEMPORARY}`;
    const handle: MovableFileHandle = await this.directory.getFileHandle(name, { create: true });
    const output = await openOutput(handle).catch(async (error: unknown) => {
      await this.remove(name);
      throw error;
    });
    let position = 0;
    let state: "writing" | "done" = "writing";
    return {
      write: async (chunk) => {
        // A shared buffer cannot be handed to the file system.
        await output.writeAt(position, chunk.buffer instanceof ArrayBuffer ? (chunk as Uint8Array<ArrayBuffer>) : chunk.slice());
        position += chunk.byteLength;
      },
      restart: async () => {
        await output.truncate();
        position = 0;
      },
      commit: async () => {
        state = "done";
        try {
          await output.close();
          return await this.publish(handle, name, key);
        } catch (error) {
          await this.remove(name);
          throw error;
        }
      },
      discard: async () => {
        if (state === "done") return;
        state = "done";
        await output.abort();
        await this.remove(name);
      },
    };
  }

  async list(): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = [];
    for await (const [name, handle] of this.directory.entries()) {
      if (handle.kind !== "file" || name.endsWith(TEMPORARY)) continue;
      entries.push({ key: name, bytes: (await (handle as FileSystemFileHandle).getFile()).size });
    }
    return entries;
  }

  async delete(key: string): Promise<void> {
    await this.remove(key);
  }

  private async publish(handle: MovableFileHandle, name: string, key: string): Promise<StoredFile> {
    const written = await handle.getFile();
    // Another tab may have stored the same content meanwhile; keys are checksums, so either copy serves.
    const present = await this.open(key);
    if (present?.bytes === written.size) {
      await this.remove(name);
      return present;
    }
    if (handle.move) {
      await handle.move(key);
    } else {
      const target = await (await this.directory.getFileHandle(key, { create: true })).createWritable();
      await written.stream().pipeTo(target);
      await this.remove(name);
    }
    const stored = await this.open(key);
    if (!stored) throw new DOMException(`The file ${key} vanished while it was stored.`, "NotFoundError");
    return stored;
  }

  /** Removes what interrupted writes left; files that another tab is writing are locked and stay. */
  private async sweep(): Promise<void> {
    const stale: string[] = [];
    for await (const [name] of this.directory.entries()) if (name.endsWith(TEMPORARY)) stale.push(name);
    for (const name of stale) await this.remove(name);
  }

  private async remove(name: string): Promise<void> {
    try {
      await this.directory.removeEntry(name);
    } catch (error) {
      if (!isNamed(error, "NotFoundError") && !isNamed(error, "NoModificationAllowedError")) throw error;
    }
  }
}

/** A synchronous handle in a worker, which is faster; elsewhere a writable stream. */
async function openOutput(handle: FileSystemFileHandle): Promise<Output> {
  if (typeof handle.createSyncAccessHandle === "function") {
    const access = await handle.createSyncAccessHandle();
    const close = async () => access.close();
    return {
      writeAt: async (position, chunk) => {
        const written = access.write(chunk, { at: position });
        if (written !== chunk.byteLength) throw new DOMException("The disk took only part of a write.", "QuotaExceededError");
      },
      truncate: async () => access.truncate(0),
      close: async () => {
        try {
          access.flush();
        } finally {
          access.close();
        }
      },
      abort: close,
    };
  }
  const stream = await handle.createWritable();
  return {
    writeAt: (position, data) => stream.write({ type: "write", position, data }),
    truncate: () => stream.truncate(0),
    close: () => stream.close(),
    // A stream that has failed cannot be aborted again.
    abort: () => stream.abort().catch(() => undefined),
  };
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof DOMException && error.name === name;
}
