import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type AgentConnection } from "../hosts/connection";
import { readPart, statPath } from "../hosts/files";
import { sshdMissing, startSshd, type TestServer } from "../testing/sshd";
import type { SentFile } from "./trainer-files";
import { sendBundle, sendFolder, sendMissing, sendNew, type Progress } from "./upload";

const fixture = fileURLToPath(new URL("../../inference/fixtures/drafts", import.meta.url));
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const described = (name: string, content: Uint8Array): SentFile => ({ name, size: content.byteLength, sha256: sha256(content) });

let base = "";
let root = "";
let node: AgentConnection;

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "mambascope-upload-"));
  root = path.join(base, "root");
  node = await connect({ id: "local", kind: "local", root });
});

afterAll(async () => {
  node?.close();
  await rm(base, { recursive: true, force: true });
});

const incoming = () => readdir(path.join(root, ".incoming")).catch(() => []);

describe("sending files", () => {
  it("brings any files over as they are, and only what is missing the next time", async () => {
    let run = 0;
    const name = fc.constantFrom("a", "b.txt", "deep/c", "deep/er/d.bin", "e e", "ü");
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, fc.uint8Array({ maxLength: 3000 }), { minKeys: 1 }), async (contents) => {
        run += 1;
        const local = path.join(base, `any-${run}`);
        for (const [file, content] of Object.entries(contents)) {
          await mkdir(path.dirname(path.join(local, file)), { recursive: true });
          await writeFile(path.join(local, file), content);
        }
        const total = Object.values(contents).reduce((sum, { length }) => sum + length, 0);
        const [first] = Object.keys(contents) as [string];
        expect(await sendFolder(node, local, `training/any-${run}`, "any")).toBe(total);
        for (const [file, content] of Object.entries(contents)) {
          expect(Buffer.compare((await readPart(node, `training/any-${run}/${file}`)).data, content)).toBe(0);
        }
        expect(await sendFolder(node, local, `training/any-${run}`, "any")).toBe(0);
        await writeFile(path.join(root, `training/any-${run}`, first), "changed on the node, to another size");
        expect(await sendFolder(node, local, `training/any-${run}`, "any")).toBe(contents[first]?.length);
      }),
      { numRuns: 12 },
    );
    expect(await incoming()).toEqual([]);
  });

  it("makes a folder appear whole or not at all", async () => {
    const content = Buffer.alloc(3_000_000, "whole ");
    const files = [described("one", content), described("two", content)];
    // The second file is cut short, damaged, or never comes.
    await expect(sendNew(node, "trainer/cut", files, [content, content.subarray(1)])).rejects.toMatchObject({ code: "incomplete" });
    const damaged = Buffer.from(content);
    damaged[7] = 0;
    await expect(sendNew(node, "trainer/cut", files, [content, damaged])).rejects.toMatchObject({ code: "checksum" });
    await expect(sendNew(node, "trainer/cut", files, [content, content, Buffer.from("more")])).rejects.toMatchObject({ code: "bad-request" });
    const stop = new AbortController();
    const waits = async function* () {
      yield content;
      stop.abort();
      await new Promise(() => undefined);
    };
    await expect(sendNew(node, "trainer/cut", files, waits(), stop.signal)).rejects.toMatchObject({ code: "cancelled" });
    await until(async () => (await incoming()).length === 0);
    expect(existsSync(path.join(root, "trainer", "cut"))).toBe(false);

    expect(await sendNew(node, "trainer/whole", files, [content, content])).toBe(true);
    // Two dashboards that send the same at once: one is first, both have it.
    expect(await sendNew(node, "trainer/whole", files, [content, content])).toBe(false);
    const both = await Promise.all([1, 2].map(() => sendNew(node, "trainer/same", files, [content, content])));
    expect(both.sort()).toEqual([false, true]);
    expect(await readdir(path.join(root, "trainer"))).toEqual(["same", "whole"]);
  });

  it("refuses what the node's disk cannot hold, and data that is not there", async () => {
    await expect(sendNew(node, "trainer/huge", [{ name: "x", size: 2 ** 52, sha256: "" }], [])).rejects.toMatchObject({ code: "disk-full" });
    await expect(sendFolder(node, path.join(base, "nowhere"), "training/x", "nowhere")).rejects.toMatchObject({ code: "no-data" });
  });

  it("notices a file that changes while it is sent", async () => {
    const local = path.join(base, "changing");
    await mkdir(local);
    await writeFile(path.join(local, "rows.bin"), "after");
    await expect(sendMissing(node, local, "training/changing", [described("rows.bin", Buffer.from("befor"))], "rows")).rejects.toMatchObject({ code: "checksum" });
    expect(existsSync(path.join(root, "training", "changing", "rows.bin"))).toBe(false);
  });
});

describe.skipIf(sshdMissing)(`bundles over ssh${sshdMissing ? ` (${sshdMissing})` : ""}`, () => {
  let server: TestServer;
  let remote: AgentConnection;

  beforeAll(async () => {
    server = await startSshd();
    remote = await connect(server.node());
  });
  afterAll(async () => {
    remote?.close();
    await server?.stop();
  });

  it("sends what the manifest lists and the folder has, with progress, then nothing", async () => {
    const local = path.join(base, "tiny");
    await cp(fixture, local, { recursive: true });
    await writeFile(path.join(local, "notes.txt"), "not of the bundle");
    const told: Progress[] = [];
    const sent = await sendBundle(remote, local, "models/tiny", "Tiny", { onProgress: (progress) => told.push(progress) });
    const target = path.join(remote.hello.root, "models", "tiny");
    const names = (await readdir(target)).sort();
    expect(names).toEqual((await readdir(fixture)).filter((name) => names.includes(name)).sort());
    expect(names).toContain("manifest.json");
    expect(names).not.toContain("notes.txt");
    for (const name of names) expect(sha256(await readFile(path.join(target, name)))).toBe(sha256(await readFile(path.join(local, name))));
    expect(told[0]).toMatchObject({ message: "Sending Tiny", done: 0, total: sent });
    expect(told.at(-1)).toMatchObject({ done: sent, total: sent });
    expect(await sendBundle(remote, local, "models/tiny", "Tiny")).toBe(0);
    expect(await sendBundle(remote, path.join(base, "no-family"), "models/none", "None")).toBe(0);
  });

  it("keeps what came whole when the connection breaks, and sends the rest over the next one", async () => {
    const local = path.join(base, "parts");
    await mkdir(local);
    for (const name of ["a.bin", "b.bin"]) await writeFile(path.join(local, name), Buffer.alloc(9_000_000, name));
    const options = { partBytes: 10_000_000, onProgress: ({ done }: Progress) => done > 11_000_000 && void server.killConnections() };
    const broken = sendFolder(remote, local, "training/parts", "parts", options);
    await expect(broken).rejects.toMatchObject({ code: "connection-lost" });
    remote = await connect(server.node());
    // Who looks for the data does not find half of them.
    expect(await statPath(remote, "training/parts")).toBeNull();
    expect(await sendFolder(remote, local, "training/parts", "parts")).toBe(9_000_000);
    expect(await readdir(path.join(remote.hello.root, "training"))).toEqual(["parts"]);
    expect((await stat(path.join(remote.hello.root, "training/parts/b.bin"))).size).toBe(9_000_000);
  });
});

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not become so within 10 seconds");
}
