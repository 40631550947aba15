import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fetchFile, type FetchOptions } from "./fetch";
import type { BundleFile } from "./manifest";
import { sha256 } from "./testing/bundle";
import { TestServer } from "./testing/server";

const content = new Uint8Array(300_000).map((_, i) => (i * 31) ^ (i >> 7));
const file: BundleFile = { name: "shard", bytes: content.byteLength, sha256: sha256(content) };

let server: TestServer;
let root: string;
beforeEach(async () => {
  server = new TestServer(new Map([["shard", content]]));
  root = await server.start();
});
afterEach(() => server.stop());

/** Fetches the shard; returns what the sink holds in the end. */
async function get(options: FetchOptions = {}, wanted = file): Promise<Uint8Array> {
  let chunks: Uint8Array[] = [];
  const sink = {
    write: async (chunk: Uint8Array) => void chunks.push(chunk.slice()),
    restart: async () => {
      chunks = [];
    },
  };
  await fetchFile(`${root}${wanted.name}`, wanted, sink, { backoffMs: 1, ...options });
  return new Uint8Array(Buffer.concat(chunks));
}

describe("fetching a file", () => {
  it("brings its bytes and reports them", async () => {
    const seen: number[] = [];
    expect(sha256(await get({ onBytes: (received) => seen.push(received) }))).toBe(file.sha256);
    expect(seen.at(-1)).toBe(content.byteLength);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it("resumes a broken connection where it broke", async () => {
    server.fail("shard", { cutAfter: 100_000 });
    server.fail("shard", { cutAfter: 50_000 });
    expect(sha256(await get())).toBe(file.sha256);
    const [, second, third] = server.requests;
    expect(second?.range).toMatch(/^bytes=\d+-$/);
    expect(second?.ifRange).toBe(`"${sha256(content)}"`);
    const offset = (range: string | undefined) => Number(/\d+/.exec(range ?? "")?.[0]);
    expect(offset(second?.range)).toBe(100_000);
    expect(offset(third?.range)).toBe(150_000);
  });

  it("begins again if the content changed between two attempts", async () => {
    server.fail("shard", { data: new Uint8Array(content.byteLength), cutAfter: 100_000 });
    expect(sha256(await get())).toBe(file.sha256);
  });

  it("begins again if the server knows no ranges or has only weak ETags", async () => {
    server.fail("shard", { cutAfter: 100_000 });
    server.fail("shard", { ignoreRange: true });
    expect(sha256(await get())).toBe(file.sha256);
    server.requests.length = 0;
    server.fail("shard", { cutAfter: 100_000, etag: 'W/"1"' });
    expect(sha256(await get())).toBe(file.sha256);
    expect(server.requests[1]?.range).toBeUndefined();
  });

  it("gives up a stalled connection and resumes", async () => {
    server.fail("shard", { stallAfter: 100_000 });
    expect(sha256(await get({ stallMs: 200 }))).toBe(file.sha256);
    expect(server.requests[1]?.range).toBe("bytes=100000-");
  });

  it("retries server faults, and says so when they last", async () => {
    server.fail("shard", { status: 503 }, 2);
    expect(sha256(await get())).toBe(file.sha256);
    server.fail("shard", { status: 503 }, 3);
    await expect(get({ retries: 2 })).rejects.toMatchObject({ code: "network", message: expect.stringContaining("503") });
  });

  it("does not retry what cannot be mended", async () => {
    server.fail("shard", { status: 403 });
    await expect(get()).rejects.toMatchObject({ code: "network" });
    expect(server.requests).toHaveLength(1);
  });

  it("says that a file is missing, and what to do", async () => {
    const missing = { ...file, name: "other" };
    await expect(get({ missingAction: "Fetch the teacher." }, missing)).rejects.toMatchObject({
      code: "file-missing",
      message: '"other" is not on the server.',
      action: "Fetch the teacher.",
    });
    expect(server.requests).toHaveLength(1);
  });

  it("says that a file is truncated or too long", async () => {
    for (const bytes of [content.byteLength + 7, content.byteLength - 7]) {
      await expect(get({}, { ...file, bytes })).rejects.toMatchObject({ code: "file-truncated", message: expect.stringContaining(`says ${bytes}`) });
    }
    // Without a declared length the excess shows only as it comes.
    server.fail("shard", { chunkedUntil: content.byteLength });
    await expect(get({}, { ...file, bytes: 1000 })).rejects.toMatchObject({ code: "file-truncated" });
  });

  it("resumes an answer that ended early without a declared length", async () => {
    server.fail("shard", { chunkedUntil: 70_000 });
    expect(sha256(await get())).toBe(file.sha256);
    expect(server.requests[1]?.range).toBe("bytes=70000-");
  });

  it("fetches a file of a wrong checksum once more, then reports it", async () => {
    const damaged = content.slice();
    damaged[1234]! ^= 1;
    server.fail("shard", { data: damaged });
    expect(sha256(await get())).toBe(file.sha256);
    expect(server.requests).toHaveLength(2);
    server.fail("shard", { data: damaged }, 5);
    await expect(get()).rejects.toMatchObject({ code: "checksum-mismatch" });
    expect(server.requests).toHaveLength(4);
  });

  it("says that the server cannot be reached", async () => {
    await server.stop();
    await expect(get({ retries: 1 })).rejects.toMatchObject({ code: "network", action: expect.stringContaining("server is running") });
    await server.start();
  });

  it("stops at once when it is aborted, in a transfer or between attempts", async () => {
    server.fail("shard", { stallAfter: 1000 });
    const controller = new AbortController();
    const reason = new Error("stopped");
    const fetching = get({ signal: controller.signal, onBytes: () => controller.abort(reason) });
    await expect(fetching).rejects.toBe(reason);

    server.fail("shard", { status: 503 }, 9);
    const second = new AbortController();
    setTimeout(() => second.abort(reason), 50);
    await expect(get({ signal: second.signal, backoffMs: 60_000 })).rejects.toBe(reason);
    await expect(get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("passes on what the sink throws, without another attempt", async () => {
    const full = new Error("disk full");
    const sink = { write: () => Promise.reject(full), restart: () => Promise.resolve() };
    await expect(fetchFile(`${root}shard`, file, sink)).rejects.toBe(full);
    expect(server.requests).toHaveLength(1);
  });
});
