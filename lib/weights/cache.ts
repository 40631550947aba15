import { CacheStorageStore } from "./cache-storage-store";
import { checksumOf } from "./checksum";
import { WeightError } from "./errors";
import type { BundleFile } from "./manifest";
import { OpfsStore } from "./opfs-store";
import { type FileStore, MemoryStore, type PendingFile, type StoredEntry, type StoredFile } from "./store";

/** What the cache holds. */
export interface CacheContents {
  readonly kind: FileStore["kind"];
  readonly entries: readonly StoredEntry[];
  readonly bytes: number;
}

/**
 * Bundle files by checksum. What it opens has the size that the manifest promises; what it stores was checked before.
 * A store that fails is never fatal: files then stay in memory, and `warnings` says why.
 */
export class WeightCache {
  readonly warnings: WeightError[] = [];
  readonly #memory = new MemoryStore();

  constructor(private readonly store: FileStore) {}

  /** True if files outlive the page. */
  get persistent(): boolean {
    return this.store.kind !== "memory";
  }

  get kind(): FileStore["kind"] {
    return this.store.kind;
  }

  /** A file that is there and of the right size. One of another size is damaged: it is deleted, and undefined returned. */
  async open(file: BundleFile): Promise<StoredFile | undefined> {
    const kept = await this.#memory.open(file.sha256);
    if (kept) return kept;
    try {
      const found = await this.store.open(file.sha256);
      if (!found || found.bytes === file.bytes) return found;
      await this.store.delete(file.sha256);
    } catch (error) {
      this.warn(unavailable(error));
    }
    return undefined;
  }

  /** True if the stored file has its checksum; if not, it is deleted. Undefined if it is not there. */
  async verify(file: BundleFile, signal?: AbortSignal): Promise<boolean | undefined> {
    const found = await this.open(file);
    if (!found) return undefined;
    if ((await checksumOf(found, signal)) === file.sha256) return true;
    await this.delete(file.sha256);
    return false;
  }

  /**
   * Writes a file: `fill` writes and checks the content; if it fails nothing is stored. If the store is full or fails,
   * the file is filled again into memory, and a warning kept.
   */
  async add(file: BundleFile, fill: (pending: PendingFile) => Promise<void>): Promise<StoredFile> {
    if (this.persistent) {
      try {
        await checkQuota(file);
        return await fillAndCommit(await this.store.create(file.sha256, file.bytes).catch(asStoreFailure), fill);
      } catch (error) {
        if (!(error instanceof StoreFailure)) throw error;
        this.warn(error.warning);
      }
    }
    return fillAndCommit(await this.#memory.create(file.sha256, file.bytes), fill);
  }

  async contents(): Promise<CacheContents> {
    const entries = [...(await this.store.list()), ...(await this.#memory.list())];
    return { kind: this.store.kind, entries, bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  async delete(sha256: string): Promise<void> {
    await this.#memory.delete(sha256);
    await this.store.delete(sha256);
  }

  /** Forgets files that are in memory only, once their weights are where they are used. */
  async releaseMemory(): Promise<void> {
    for (const { key } of await this.#memory.list()) await this.#memory.delete(key);
  }

  async clear(): Promise<void> {
    for (const { key } of (await this.contents()).entries) await this.delete(key);
  }

  private warn(warning: WeightError): void {
    if (!this.warnings.some(({ code }) => code === warning.code)) this.warnings.push(warning);
  }
}

/** The best cache that this browser has: OPFS, then Cache Storage, then memory. Works in windows and in workers. */
export async function openWeightCache(): Promise<WeightCache> {
  const failures: WeightError[] = [];
  for (const kind of [OpfsStore, CacheStorageStore]) {
    if (!kind.isSupported()) continue;
    try {
      return new WeightCache(await kind.open());
    } catch (error) {
      failures.push(unavailable(error));
    }
  }
  const cache = new WeightCache(new MemoryStore());
  cache.warnings.push(...failures.slice(0, 1));
  return cache;
}

/** The store failed, not the content: the file can still be had, without being kept. */
class StoreFailure extends Error {
  constructor(readonly warning: WeightError) {
    super(warning.message);
  }
}

function asStoreFailure(error: unknown): never {
  throw new StoreFailure(isQuotaError(error) ? full(error) : unavailable(error));
}

async function fillAndCommit(pending: PendingFile, fill: (pending: PendingFile) => Promise<void>): Promise<StoredFile> {
  try {
    await fill({
      ...pending,
      write: (chunk) => pending.write(chunk).catch(asStoreFailure),
      restart: () => pending.restart().catch(asStoreFailure),
    });
    return await pending.commit().catch(asStoreFailure);
  } catch (error) {
    // The first failure is the one to report.
    await pending.discard().catch(() => undefined);
    throw error;
  }
}

async function checkQuota(file: BundleFile): Promise<void> {
  if (typeof navigator === "undefined" || !navigator.storage?.estimate) return;
  const { quota, usage } = await navigator.storage.estimate();
  if (quota !== undefined && usage !== undefined && quota - usage < file.bytes) throw new StoreFailure(full());
}

function isQuotaError(error: unknown): boolean {
  return error instanceof Error && error.name === "QuotaExceededError";
}

function full(cause?: unknown): WeightError {
  return new WeightError(
    "quota-exceeded",
    "The browser has no room to keep the weights; they stay in memory until the page is closed.",
    "Delete cached models or free disk space, then load again.",
    { cause },
  );
}

function unavailable(cause: unknown): WeightError {
  const detail = cause instanceof Error ? ` (${cause.message})` : "";
  return new WeightError(
    "cache-unavailable",
    `The browser's storage cannot be used${detail}; weights stay in memory until the page is closed.`,
    "Leave private browsing or allow the site to store data, then load again.",
    { cause },
  );
}
