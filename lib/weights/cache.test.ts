import { describe, expect, it } from "vitest";
import { WeightCache } from "./cache";
import type { BundleFile } from "./manifest";
import { type FileStore, MemoryStore, type PendingFile } from "./store";
import { sha256 } from "./testing/bundle";

const content = new Uint8Array(1000).map((_, i) => i);
const file: BundleFile = { name: "shard", bytes: 1000, sha256: sha256(content) };
const fill = async (pending: PendingFile) => {
  await pending.write(content.subarray(0, 300));
  await pending.write(content.subarray(300));
};

/** A persistent store in memory that can be told to fail. */
class FlakyStore implements FileStore {
  readonly kind = "opfs";
  readonly inner = new MemoryStore();
  discarded = 0;
  failAt: "open" | "create" | "write" | "commit" | undefined;
  error: Error = new DOMException("full", "QuotaExceededError");

  private check(step: FlakyStore["failAt"]): void {
    if (this.failAt === step) throw this.error;
  }
  async open(key: string) {
    this.check("open");
    return this.inner.open(key);
  }
  async create(key: string, bytes: number): Promise<PendingFile> {
    this.check("create");
    const pending = await this.inner.create(key, bytes);
    return {
      ...pending,
      write: async (chunk) => {
        this.check("write");
        await pending.write(chunk);
      },
      commit: async () => {
        this.check("commit");
        return pending.commit();
      },
      discard: async () => {
        this.discarded += 1;
      },
    };
  }
  list = () => this.inner.list();
  delete = (key: string) => this.inner.delete(key);
}

describe("the weight cache", () => {
  it("keeps a file under its checksum, lists and deletes it", async () => {
    const cache = new WeightCache(new FlakyStore());
    expect(await cache.open(file)).toBeUndefined();
    const stored = await cache.add(file, fill);
    expect(await stored.read(10, 20)).toEqual(content.slice(10, 20));
    expect(await (await cache.open(file))?.read(0, 1000)).toEqual(content);
    expect(await cache.contents()).toEqual({ kind: "opfs", entries: [{ key: file.sha256, bytes: 1000 }], bytes: 1000 });
    await cache.clear();
    expect((await cache.contents()).bytes).toBe(0);
  });

  it("stores nothing if the content fails", async () => {
    const store = new FlakyStore();
    const cache = new WeightCache(store);
    const failure = new Error("wrong checksum");
    const adding = cache.add(file, async (pending) => {
      await pending.write(content);
      throw failure;
    });
    await expect(adding).rejects.toBe(failure);
    expect(store.discarded).toBe(1);
    expect(await cache.open(file)).toBeUndefined();
    expect((await cache.contents()).entries).toEqual([]);
  });

  it("deletes a file of another size instead of opening it", async () => {
    const store = new FlakyStore();
    const pending = await store.inner.create(file.sha256, 400);
    await pending.write(content.subarray(0, 400));
    await pending.commit();
    expect(await new WeightCache(store).open(file)).toBeUndefined();
    expect(await store.list()).toEqual([]);
  });

  it("verifies checksums on request, and deletes what fails", async () => {
    const store = new FlakyStore();
    const cache = new WeightCache(store);
    expect(await cache.verify(file)).toBeUndefined();
    await cache.add(file, fill);
    expect(await cache.verify(file)).toBe(true);
    const damaged = await store.inner.create(file.sha256, 1000);
    await damaged.write(new Uint8Array(1000));
    await damaged.commit();
    expect(await cache.verify(file)).toBe(false);
    expect(await cache.open(file)).toBeUndefined();
  });

  it.each(["create", "write", "commit"] as const)("survives a full disk at %s: the file stays in memory", async (step) => {
    const store = new FlakyStore();
    store.failAt = step;
    const cache = new WeightCache(store);
    const stored = await cache.add(file, fill);
    expect(await stored.read(0, 1000)).toEqual(content);
    expect(await store.list()).toEqual([]);
    expect(await (await cache.open(file))?.read(0, 3)).toEqual(content.slice(0, 3));
    expect(cache.warnings).toMatchObject([{ code: "quota-exceeded" }]);
    await cache.add(file, fill);
    expect(cache.warnings).toHaveLength(1);
    await cache.releaseMemory();
    expect(await cache.open(file)).toBeUndefined();
  });

  it("says that memory is short", async () => {
    const huge = { ...file, bytes: 2 ** 53 - 1 };
    const adding = new WeightCache(new MemoryStore()).add(huge, fill);
    await expect(adding).rejects.toMatchObject({ code: "out-of-memory" });
  });

  it("survives a store that fails otherwise", async () => {
    const store = new FlakyStore();
    store.failAt = "open";
    store.error = new DOMException("denied", "SecurityError");
    const cache = new WeightCache(store);
    expect(await cache.open(file)).toBeUndefined();
    expect(cache.warnings).toMatchObject([{ code: "cache-unavailable", message: expect.stringContaining("denied") }]);
  });
});
