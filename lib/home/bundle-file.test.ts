import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { locateBundleFile, respondWithFile } from "./bundle-file";
import { bundlePath } from "./paths";

const content = Uint8Array.from({ length: 600_000 }, (_, index) => (index * 7) % 251);
const sha256 = createHash("sha256").update(content).digest("hex");
let home = "";
const before = process.env.MAMBASCOPE_HOME;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-home-"));
  process.env.MAMBASCOPE_HOME = home;
  const folder = path.join(home, "models", "demo");
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "shard.safetensors"), content);
  await writeFile(path.join(folder, "secret.txt"), "not listed");
  await writeFile(path.join(home, "outside.bin"), "outside");
  await symlink(path.join(home, "outside.bin"), path.join(folder, "link.bin"));
  const files = { "shard.safetensors": { bytes: content.length, sha256 }, "link.bin": { bytes: 7, sha256 }, "gone.bin": { bytes: 1, sha256 } };
  await writeFile(path.join(folder, "ranking.bin"), content.subarray(0, 8));
  const token_ranking = { file: "ranking.bin", bytes: 8, sha256: createHash("sha256").update(content.subarray(0, 8)).digest("hex"), count: 2 };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify({ files, token_ranking }));
});

afterEach(async () => {
  process.env.MAMBASCOPE_HOME = before;
  if (before === undefined) delete process.env.MAMBASCOPE_HOME;
  await rm(home, { recursive: true });
});

async function get(query = "", init: RequestInit = {}): Promise<Response> {
  const file = await locateBundleFile("demo", ["shard.safetensors"]);
  if (!file) throw new Error("the file was not found");
  return respondWithFile(new Request(`http://localhost/bundles/demo/shard.safetensors${query}`, init), file);
}

function controlled(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

describe("respondWithFile", () => {
  it("streams the whole file with the manifest's checksum as ETag", async () => {
    const response = await get();
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe(`"${sha256}"`);
    expect(response.headers.get("cache-control")).toBe("no-cache");
    expect(await bytesOf(response)).toEqual(content);
  });

  it("gives any range as the slice of the file", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length - 1), fc.nat(400_000), async (first, length) => {
        const response = await get("", { headers: { range: `bytes=${first}-${first + length}` } });
        const slice = content.slice(first, first + length + 1);
        expect(response.status).toBe(206);
        expect(response.headers.get("content-length")).toBe(String(slice.length));
        expect(Buffer.compare(await bytesOf(response), slice)).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it.skipIf(!existsSync("/proc/self/fd"))("holds no file open once all is read, or the receiver gone", async () => {
    const held = async (): Promise<number> => {
      const targets = await Promise.all((await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
      return targets.filter((target) => target.endsWith("shard.safetensors")).length;
    };
    const { signal, abort } = controlled();
    const reader = (await get("", { signal })).body!.getReader();
    await reader.read();
    expect(await held()).toBe(1);
    abort();
    await expect.poll(held).toBe(0);
    // As many chunks as hold the file, and not the question for another one.
    const whole = (await get()).body!.getReader();
    for (let bytes = 0; bytes < content.length; ) bytes += (await whole.read()).value?.length ?? content.length;
    await expect.poll(held).toBe(0);
    const left = await get();
    await left.body?.cancel();
    await expect.poll(held).toBe(0);
  });

  it("answers 416, 304 and HEAD without a body", async () => {
    const beyond = await get("", { headers: { range: `bytes=${content.length}-` } });
    expect([beyond.status, beyond.headers.get("content-range"), (await bytesOf(beyond)).length]).toEqual([416, `bytes */${content.length}`, 0]);
    expect((await get("", { headers: { "if-none-match": `"${sha256}"` } })).status).toBe(304);
    const head = await get("", { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), head.body]).toEqual([200, String(content.length), null]);
  });

  it("sends the whole file if If-Range names another version", async () => {
    const response = await get("", { headers: { range: "bytes=0-9", "if-range": '"old"' } });
    expect([response.status, (await bytesOf(response)).length]).toEqual([200, content.length]);
  });

  it("is immutable only under the right version, and never when the file has the wrong size", async () => {
    expect((await get(`?v=${sha256.slice(0, 16)}`)).headers.get("cache-control")).toContain("immutable");
    expect((await get("?v=0123456789abcdef")).headers.get("cache-control")).toBe("no-cache");
    expect((await get("?v=")).headers.get("cache-control")).toBe("no-cache");
    await writeFile(path.join(home, "models", "demo", "shard.safetensors"), content.slice(0, 100));
    const short = await get(`?v=${sha256.slice(0, 16)}`);
    expect(short.headers.get("cache-control")).toBe("no-cache");
    expect(short.headers.get("etag")).not.toContain(sha256);
  });

  it("stops reading when the receiver leaves", async () => {
    const reader = (await get()).body?.getReader();
    await reader?.read();
    await expect(reader?.cancel()).resolves.toBeUndefined();
  });
});

describe("locateBundleFile", () => {
  it("finds listed files only, and no link that leaves the folder", async () => {
    expect(await locateBundleFile("demo", ["manifest.json"])).not.toBeNull();
    expect(await locateBundleFile("demo", ["ranking.bin"])).toMatchObject({ bytes: 8, sha256: createHash("sha256").update(content.subarray(0, 8)).digest("hex") });
    for (const name of ["secret.txt", "link.bin", "gone.bin"]) expect(await locateBundleFile("demo", [name])).toBeNull();
    expect(await locateBundleFile("..", ["outside.bin"])).toBeNull();
    expect(await locateBundleFile("unknown", ["manifest.json"])).toBeNull();
  });

  it("takes no path that could leave the family's folder", () => {
    const segment = fc.oneof(fc.string(), fc.constantFrom("..", ".", "", "a/b", "a\\b", "%2e%2e", "\0", "/etc"));
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 4 }), (segments) => {
        const joined = bundlePath(segments);
        if (joined === null) return true;
        const resolved = path.resolve("/models/family", joined);
        return resolved.startsWith("/models/family/") && !joined.includes("\\") && !joined.includes("\0");
      }),
    );
  });
});
