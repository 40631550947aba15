import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WeightCache } from "./cache";
import { decodeTensor, encodeTensor } from "./codecs";
import { loadBundleFiles, type LoadOptions, type LoadProgress } from "./loader";
import { MemoryStore } from "./store";
import { listFiles, makeTestBundle, sha256, type TestBundle } from "./testing/bundle";
import { TestServer } from "./testing/server";

let bundle: TestBundle;
let server: TestServer;
let url: string;
let cache: WeightCache;

/** Puts the bundle's manifest on the server as it is now. */
function publish(manifest: unknown): void {
  server.files.set("manifest.json", new TextEncoder().encode(JSON.stringify(manifest)));
}

beforeEach(async () => {
  bundle = makeTestBundle();
  cache = new WeightCache(new MemoryStore());
  server = new TestServer(new Map(bundle.files));
  publish(bundle.manifest);
  url = `${await server.start()}manifest.json`;
});
afterEach(() => server.stop());

const load = (variant: string | string[], options: Partial<LoadOptions> = {}) =>
  loadBundleFiles(url, variant, { cache, fetching: { backoffMs: 1, stallMs: 2000 }, ...options });

describe("loading a bundle", () => {
  it("gives every tensor's bytes and values by name", async () => {
    const loaded = await load("hybrid");
    const names = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mamba.in_proj.weight", "model.layers.1.mamba.A_log"];
    for (const name of names) {
      const { entry, parts } = await loaded.tensor(name);
      const values = bundle.values.get(`${name.includes("mamba") ? "odd" : "base"}/${name}`)!;
      expect(parts).toEqual(encodeTensor(entry.codec, entry.shape, values));
      expect(await loaded.decode(name)).toEqual(decodeTensor(entry.codec, entry.shape, parts));
    }
    expect(new Set(Object.values(loaded.manifest.base.tensors).map(({ codec }) => codec)).size).toBe(5);
    await expect(loaded.tensor("model.layers.0.mamba.D")).rejects.toMatchObject({ code: "tensor-unknown" });
    expect(await loaded.tokenizer()).toEqual({ tokenizer: { model: { type: "BPE" } }, config: { chat_template: "{{ messages }}" } });
    expect(await loaded.readFile("odd.safetensors")).toEqual(bundle.files.get("odd.safetensors"));
  });

  it("fetches only what the variant needs, by checksum, and nothing twice", async () => {
    const loaded = await load("teacher");
    expect([...loaded.files.keys()]).toEqual(["base-00001-of-00002.safetensors", "base-00002-of-00002.safetensors"]);
    expect(server.requestsFor("odd.safetensors")).toEqual([]);
    const [request] = server.requestsFor("tokenizer.json");
    expect(request?.query).toBe(`?v=${bundle.manifest.files["tokenizer.json"]!.sha256.slice(0, 16)}`);
    server.requests.length = 0;
    await load(["mamba2:aligned", "mamba2:odd", "attention"]);
    expect(server.requests.map(({ name }) => name).sort()).toEqual(["aligned.safetensors", "manifest.json", "odd.safetensors"]);
  });

  it("fetches the token ranking when it is asked for, once, and checks it", async () => {
    expect(await (await load("teacher")).tokenRanking()).toBeNull();
    const bytes = new Uint8Array(Uint32Array.of(7, 0, 49).buffer);
    const rank = (data: Uint8Array) => publish({ ...bundle.manifest, token_ranking: { file: "ranking.bin", bytes: 12, sha256: sha256(data), count: 3 } });
    server.files.set("ranking.bin", bytes);
    rank(bytes);
    const loaded = await load("teacher");
    expect(server.requestsFor("ranking.bin")).toEqual([]);
    expect(await loaded.tokenRanking()).toEqual(Uint32Array.of(7, 0, 49));
    expect(await loaded.tokenRanking()).toEqual(Uint32Array.of(7, 0, 49));
    expect(server.requestsFor("ranking.bin")).toHaveLength(1);
    rank(new Uint8Array(12));
    await expect((await load("teacher")).tokenRanking()).rejects.toMatchObject({ code: "checksum-mismatch" });
    rank(bytes);
    server.files.delete("ranking.bin");
    await cache.clear();
    await expect((await load("teacher")).tokenRanking()).rejects.toMatchObject({ code: "file-missing" });
  });

  it("reports progress that ends at the total, and counts what was cached", async () => {
    const total = Object.entries(bundle.manifest.files).filter(([name]) => name !== "aligned.safetensors").reduce((sum, [, { bytes }]) => sum + bytes, 0);
    const seen: LoadProgress[] = [];
    await load("hybrid", { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({ loaded: total, total, cached: 0 });
    seen.length = 0;
    await load("hybrid", { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toMatchObject({ loaded: total, total, cached: total, bytesPerSecond: 0 });
  });

  it("says what to do if the teacher was not fetched", async () => {
    const { manifest } = bundle;
    manifest.base.origin = { kind: "gguf-package", package: "p", version: "1", file: "f.gguf", sha256: "0".repeat(64) };
    publish(manifest);
    server.files.delete("base-00002-of-00002.safetensors");
    await expect(load("teacher")).rejects.toMatchObject({ code: "file-missing", action: expect.stringContaining('fetch "Tiny" on the Models page') });
    server.files.set("base-00002-of-00002.safetensors", bundle.files.get("base-00002-of-00002.safetensors")!);
    expect((await load("teacher")).config.layers).toHaveLength(3);
  });

  it("keeps no damaged file, and loads once the server is mended", async () => {
    const name = "base-00001-of-00002.safetensors";
    const good = bundle.files.get(name)!;
    const damaged = good.slice();
    damaged[good.byteLength - 1]! ^= 1;
    for (const [data, code] of [[damaged, "checksum-mismatch"], [good.slice(0, -1), "file-truncated"]] as const) {
      server.files.set(name, data);
      await expect(load("teacher")).rejects.toMatchObject({ code });
      expect((await cache.contents()).entries.map(({ key }) => key)).not.toContain(bundle.manifest.files[name]!.sha256);
    }
    server.files.set(name, good);
    expect((await load("teacher")).files.size).toBe(2);
  });

  it("refuses a shard that is whole but disagrees with the manifest", async () => {
    const swapped = new Map(bundle.files);
    swapped.set("odd.safetensors", bundle.files.get("aligned.safetensors")!);
    server.files.set("odd.safetensors", swapped.get("odd.safetensors")!);
    publish({ ...bundle.manifest, files: listFiles(swapped) });
    await expect(load("hybrid")).rejects.toMatchObject({ code: "safetensors-invalid", message: expect.stringContaining("disagrees with the manifest") });
  });

  it.each([
    ["is not there", () => server.files.delete("manifest.json"), "file-missing"],
    ["is not JSON", () => server.files.set("manifest.json", new TextEncoder().encode("<html>")), "manifest-invalid"],
    ["has another version", () => publish({ ...bundle.manifest, version: 9 }), "manifest-version"],
    ["meets a failing server", () => server.fail("manifest.json", { status: 500 }), "network"],
  ])("says that the manifest %s", async (_, spoil, code) => {
    spoil();
    await expect(load("teacher")).rejects.toMatchObject({ code });
  });

  it("stops when it is aborted", async () => {
    server.fail("base-00001-of-00002.safetensors", { stallAfter: 10 });
    const controller = new AbortController();
    const reason = new Error("stopped");
    const loading = load("teacher", { signal: controller.signal, onProgress: () => setTimeout(() => controller.abort(reason), 20) });
    await expect(loading).rejects.toBe(reason);
    expect((await load("teacher")).files.size).toBe(2);
  });

  it("stops the other transfers when one fails", async () => {
    server.fail("base-00001-of-00002.safetensors", { stallAfter: 10 }, 99);
    server.files.delete("tokenizer.json");
    await expect(load("teacher", { fetching: { stallMs: 60_000 } })).rejects.toMatchObject({ code: "file-missing" });
  });
});
