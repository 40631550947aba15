import { blobFile, type FileStore, type PendingFile, type StoredEntry, type StoredFile } from "./store";

const CACHE_NAME = "weights";
/** Cache Storage keys are requests; these are never sent. */
const PREFIX = "/.cached-weights/";

/**
 * Keeps files in Cache Storage, for browsers without an origin private file system. A file being written waits in memory,
 * as an entry can only be put whole.
 */
export class CacheStorageStore implements FileStore {
  readonly kind = "cache-storage";

  private constructor(private readonly cache: Cache) {}

  /** Opens the store. Throws a DOMException where Cache Storage is not to be had. */
  static async open(): Promise<CacheStorageStore> {
    return new CacheStorageStore(await caches.open(CACHE_NAME));
  }

  static isSupported(): boolean {
    return typeof caches !== "undefined";
  }

  async open(key: string): Promise<StoredFile | undefined> {
    const response = await this.cache.match(PREFIX + key);
    return response && blobFile(await response.blob());
  }

  create(key: string): Promise<PendingFile> {
    let chunks: Uint8Array<ArrayBuffer>[] = [];
    const clear = async () => {
      chunks = [];
    };
    return Promise.resolve({
      write: async (chunk) => {
        chunks.push(chunk.slice());
      },
      restart: clear,
      commit: async () => {
        const blob = new Blob(chunks);
        chunks = [];
        await this.cache.put(PREFIX + key, new Response(blob, { headers: { "Content-Length": String(blob.size) } }));
        return blobFile(blob);
      },
      discard: clear,
    });
  }

  async list(): Promise<StoredEntry[]> {
    const requests = await this.cache.keys();
    return Promise.all(
      requests.map(async (request) => {
        const response = await this.cache.match(request);
        const key = new URL(request.url).pathname.slice(PREFIX.length);
        return { key, bytes: Number(response?.headers.get("Content-Length") ?? 0) };
      }),
    );
  }

  async delete(key: string): Promise<void> {
    await this.cache.delete(PREFIX + key);
  }
}
