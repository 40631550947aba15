import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile as writeLocal } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type AgentConnection } from "./connection";
import { archive, emptyTrash, listFolder, listRuns, listTrash, makeFolder, moveToTrash, readPart, restoreFromTrash, statPath, writeFile } from "./files";
import { LineSplitter } from "./lines";
import { findPython } from "./local-python";

const execute = promisify(execFile);
let base = "";
let root = "";
let node: AgentConnection;

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
  root = path.join(base, "root");
  node = await connect({ id: "local", kind: "local", root });
});

afterAll(async () => {
  node?.close();
  await rm(base, { recursive: true, force: true });
});

/** A program that is started in Python's place. */
async function script(name: string, text: string): Promise<string> {
  const file = path.join(base, name);
  await writeLocal(file, text, { mode: 0o755 });
  return file;
}

describe("the agent", () => {
  it("says what the machine is, and refuses what it does not know", async () => {
    expect(node.hello).toMatchObject({ protocol: 1, root });
    expect(Math.abs(node.hello.time - Date.now() / 1000)).toBeLessThan(60);
    await expect(node.call("nonsense")).rejects.toMatchObject({ code: "bad-request" });
    await expect(node.call("read", { path: 7 })).rejects.toMatchObject({ code: "bad-request", message: "path must be a text." });
    await expect(node.call("read", { path: "a", offset: -1 })).rejects.toMatchObject({ code: "bad-request" });
    await expect(node.call("read", { path: "absent" })).rejects.toMatchObject({ code: "not-found" });
  });

  it("gives back any part of what was written, byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.nat(6000), fc.nat(6000), async (content, offset, length) => {
        const written = await writeFile(node, "files/any.bin", content);
        const answer = await readPart(node, "files/any.bin", offset, length);
        expect(Buffer.compare(answer.data, content.slice(offset, offset + length))).toBe(0);
        expect(answer).toMatchObject({ size: content.length, inode: written.inode, bytes: answer.data.length });
      }),
      { numRuns: 40 },
    );
  });

  it("tells a file that was replaced from one that grew", async () => {
    const first = await writeFile(node, "kept/a.txt", "one");
    await writeLocal(path.join(root, "kept/a.txt"), "one and more");
    expect(await statPath(node, "kept/a.txt")).toMatchObject({ size: 12, inode: first.inode, kind: "file" });
    expect((await writeFile(node, "kept/a.txt", "two")).inode).not.toBe(first.inode);
    await expect(writeFile(node, "kept/a.txt", "three", { exclusive: true })).rejects.toMatchObject({ code: "exists" });
    expect((await readPart(node, "kept/a.txt")).data.toString()).toBe("two");
    // Nothing temporary is left beside it.
    expect((await listFolder(node, "kept")).map(({ path: name }) => name)).toEqual(["a.txt"]);
  });

  it("reads megabytes beside other calls, no faster than they are taken", async () => {
    const content = Buffer.alloc(9_000_000, "mambascope ");
    await writeLocal(path.join(root, "files/big.bin"), content);
    let most = 0;
    let taken = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const parts: Uint8Array[] = [];
    const reading = node.call("read", { path: "files/big.bin" }, {
      onData: async (chunk) => {
        parts.push(chunk);
        taken += chunk.byteLength;
        if (taken === chunk.byteLength) await gate;
      },
    });
    // While the reader stands still, the connection serves others.
    for (let call = 0; call < 30; call++) most = Math.max(most, ((await node.call("disk")) as { free: number }).free);
    expect(most).toBeGreaterThan(0);
    expect(taken).toBeLessThanOrEqual(256 * 1024);
    release();
    await reading;
    expect(Buffer.compare(Buffer.concat(parts), content)).toBe(0);
  });

  it("serves two hundred readers at once", async () => {
    const content = Buffer.alloc(300_000, "line of a log\n");
    await writeLocal(path.join(root, "files/log.txt"), content);
    const read = await Promise.all(Array.from({ length: 200 }, (_, index) => readPart(node, "files/log.txt", index * 10)));
    expect(read.filter(({ data }, index) => Buffer.compare(data, content.subarray(index * 10)) !== 0)).toEqual([]);
  });

  it("is written for Python 3.9 and its standard library alone", async () => {
    const script = "import ast, glob, sys\nfor f in sorted(glob.glob('lib/training/agent/*.py')):\n  for n in ast.walk(ast.parse(open(f).read(), feature_version=(3, 9))):\n    for m in ([a.name for a in n.names] if isinstance(n, ast.Import) else [n.module] if isinstance(n, ast.ImportFrom) and not n.level else []): print(m.split('.')[0]) if m.split('.')[0] not in sys.stdlib_module_names else None";
    expect((await execute(await findPython(), ["-c", script])).stdout).toBe("");
  });

  it("keeps to the root whatever path it is given", async () => {
    await writeLocal(path.join(base, "secret.txt"), "secret");
    await mkdir(path.join(root, "runs"), { recursive: true });
    await symlink(base, path.join(root, "runs", "up"));
    await symlink(path.join(base, "secret.txt"), path.join(root, "runs", "link.txt"));
    const attempts = ["../secret.txt", "runs/../../secret.txt", "/etc/passwd", `${base}/secret.txt`, "runs/up/secret.txt", "runs/link.txt", "./x", "", "a//b", "a/", "a\0b", "runs/up", "..", "runs\\..\\x"];
    const operations = { read: {}, write: { data: "" }, stat: {}, list: {}, mkdir: {}, disk: {}, move: {}, archive: { name: "x" }, missing: { files: [{ name: "f", size: 0, sha256: "" }] }, put: { mode: "new", files: [] } };
    for (const attempt of attempts) {
      for (const [op, params] of Object.entries(operations)) {
        const code = await node.call(op, { path: attempt, from: "kept/a.txt", to: attempt, ...params }, op === "put" ? { input: [] } : {}).then(() => "none", (error: { code: string }) => error.code);
        expect([attempt, op, code]).toEqual([attempt, op, "path"]);
      }
    }
    // A tilde is a letter like any other.
    await writeFile(node, "~/x", "here");
    expect(await readFile(path.join(root, "~", "x"), "utf8")).toBe("here");
    for (const id of ["../x", "..", "up", "a/b", "A", ""]) {
      await expect(moveToTrash(node, id)).rejects.toThrow();
      await expect(restoreFromTrash(node, id)).rejects.toThrow();
      await expect(emptyTrash(node, [id])).rejects.toThrow();
    }
    await expect(node.call("put", { path: "put", mode: "merge", files: [{ name: "../../x", size: 0, sha256: "" }] }, { input: [] })).rejects.toMatchObject({ code: "path" });
    expect(await readFile(path.join(base, "secret.txt"), "utf8")).toBe("secret");
    expect((await listRuns(node)).runs).toEqual([]);
    await rm(path.join(root, "runs", "up"));
    await rm(path.join(root, "runs", "link.txt"));
  });

  it("holds for any path that could be made up", async () => {
    const part = fc.oneof(fc.constantFrom("..", ".", "", "runs", "x", "\0", "C:", "..\\.."), fc.string({ maxLength: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (parts) => {
        const before = await execute("find", [base, "-path", root, "-prune", "-o", "-print"]);
        await writeFile(node, parts.join("/"), "x").catch(() => undefined);
        const after = await execute("find", [base, "-path", root, "-prune", "-o", "-print"]);
        expect(after.stdout).toBe(before.stdout);
      }),
      { numRuns: 60 },
    );
  });

  it("lists runs, and moves them to the trash and back", async () => {
    await rm(path.join(root, "runs"), { recursive: true, force: true });
    await writeFile(node, "runs/one/status.json", "{}");
    await writeFile(node, "runs/one/metrics.jsonl", "{}\n");
    await writeFile(node, "runs/two/launch.json", JSON.stringify({ kind: "process", pid: 1, pid_start: "0", boot_id: "another", host: node.hello.hostname }));
    await makeFolder(node, "runs/Not A Run");
    const { runs } = await listRuns(node);
    expect(runs.map(({ id, alive }) => [id, alive])).toEqual([["one", null], ["two", "gone"]]);
    expect(runs[0]?.files["metrics.jsonl"]).toMatchObject({ size: 3 });
    expect((await listRuns(node, ["two"])).runs.map(({ id }) => id)).toEqual(["two"]);

    const trashed = await moveToTrash(node, "one");
    expect(trashed).toMatchObject({ id: "one", bytes: 5 });
    expect((await listTrash(node)).entries.map(({ entry }) => entry)).toEqual([trashed.entry]);
    await writeFile(node, "runs/one/status.json", "{}");
    await expect(restoreFromTrash(node, trashed.entry)).rejects.toMatchObject({ code: "exists" });
    // The same name twice in one second gets two entries.
    const again = await moveToTrash(node, "one");
    expect(again.entry).not.toBe(trashed.entry);
    expect(await restoreFromTrash(node, trashed.entry)).toEqual({ id: "one" });
    expect((await readPart(node, "runs/one/metrics.jsonl")).data.toString()).toBe("{}\n");
    expect(await emptyTrash(node)).toEqual({ entries: 1, bytes: 2 });
    expect((await listTrash(node)).entries).toEqual([]);
  });

  it("packs a run so that tar unpacks the same files, without its checkpoints if asked", async () => {
    const metrics = Buffer.alloc(1_500_000, "0123456789\n");
    await mkdir(path.join(root, "runs/packed/checkpoints"), { recursive: true });
    await writeLocal(path.join(root, "runs/packed/metrics.jsonl"), metrics);
    await writeLocal(path.join(root, "runs/packed/empty"), "");
    await writeLocal(path.join(root, "runs/packed/checkpoints/step-1.pt"), "weights");
    const names: string[][] = [];
    for (const without of [[], ["checkpoints"]]) {
      const parts: Uint8Array[] = [];
      await archive(node, "runs/packed", "packed", (chunk) => void parts.push(chunk), { without });
      const out = path.join(base, `out-${without.length}`);
      await mkdir(out);
      await writeLocal(path.join(out, "run.tar"), gunzipSync(Buffer.concat(parts)));
      const { stdout } = await execute("tar", ["-tf", path.join(out, "run.tar")]);
      names.push(stdout.trim().split("\n").sort());
      await execute("tar", ["-xf", path.join(out, "run.tar"), "-C", out]);
      expect(Buffer.compare(await readFile(path.join(out, "packed/metrics.jsonl")), metrics)).toBe(0);
    }
    expect(names).toEqual([["packed/checkpoints/step-1.pt", "packed/empty", "packed/metrics.jsonl"], ["packed/empty", "packed/metrics.jsonl"]]);
  });
});

describe("a call", () => {
  it("ends when it is cancelled, on the node too", async () => {
    await writeLocal(path.join(root, "files/long.bin"), Buffer.alloc(20_000_000));
    const stop = new AbortController();
    let got = 0;
    const reading = node.call("read", { path: "files/long.bin" }, { signal: stop.signal, onData: (chunk) => void ((got += chunk.byteLength), stop.abort()) });
    await expect(reading).rejects.toMatchObject({ code: "cancelled" });
    await expect(node.call("disk", {}, { signal: stop.signal })).rejects.toMatchObject({ code: "cancelled" });
    for (let call = 0; call < 20; call++) {
      const each = new AbortController();
      await expect(node.call("read", { path: "files/long.bin", length: 2_000_000 }, { signal: each.signal, onData: () => each.abort() })).rejects.toMatchObject({ code: "cancelled" });
    }
    // The thread of each has ended.
    const threads = async () => (await readdir(`/proc/${node.hello.pid}/task`).catch(() => [])).length;
    for (let waited = 0; waited < 5000 && (await threads()) > 5; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await threads()).toBeLessThanOrEqual(5);
    expect(got).toBeLessThan(20_000_000);
  });

  it("rejects when its answer or its bytes cannot be used, and the connection stays", async () => {
    const failing = () => {
      throw new Error("the disk is full");
    };
    await expect(node.call("read", { path: "files/long.bin" }, { onData: failing })).rejects.toMatchObject({ code: "output", message: expect.stringContaining("the disk is full") });
    await expect(node.call("write", { path: "x", data: "A".repeat(5_000_000) })).rejects.toMatchObject({ code: "too-large" });
    await expect(node.call("write", { path: "x", data: "!" })).rejects.toMatchObject({ code: "bad-request" });
    async function* broken() {
      yield Buffer.from("a");
      throw new Error("the file vanished");
    }
    await expect(node.call("put", { path: "p", mode: "merge", files: [{ name: "f", size: 2, sha256: "" }] }, { input: broken() })).rejects.toMatchObject({ code: "input" });
    expect(await node.call("disk")).toBeTruthy();
  });

  it("is given up after a silence", async () => {
    // The node waits for bytes that never come.
    const never = { async *[Symbol.asyncIterator]() { await new Promise(() => undefined); yield Buffer.alloc(0); } };
    await expect(node.call("put", { path: "p", mode: "merge", files: [{ name: "f", size: 2, sha256: "" }] }, { input: never, timeoutMs: 200 })).rejects.toMatchObject({ code: "timeout" });
    expect(await node.call("disk")).toBeTruthy();
  });

  it("has as long as its receiver takes", async () => {
    const slow = () => new Promise<void>((resolve) => setTimeout(resolve, 400));
    expect(await node.call("read", { path: "files/long.bin", length: 1000 }, { onData: slow, timeoutMs: 150 })).toMatchObject({ bytes: 1000 });
  });
});

describe("a connection", () => {
  it("is given up when the agent hangs, with all its calls", async () => {
    const hanging = await connect({ id: "local", kind: "local", root }, { heartbeatMs: 100 });
    const call = hanging.call("read", { path: "files/long.bin" }, { onData: () => new Promise(() => undefined), timeoutMs: 0 });
    process.kill(hanging.hello.pid, "SIGSTOP");
    await expect(call).rejects.toMatchObject({ code: "heartbeat" });
    await expect(hanging.call("disk")).rejects.toMatchObject({ code: "heartbeat" });
    process.kill(hanging.hello.pid, "SIGCONT");
    await gone(hanging.hello.pid);
  });

  it("ends its process when it is closed, and says when the process was killed", async () => {
    const one = await connect({ id: "local", kind: "local", root });
    // Ctrl+C in the terminal reaches the agent too.
    process.kill(one.hello.pid, "SIGINT");
    expect(await one.call("disk")).toBeTruthy();
    one.close();
    await gone(one.hello.pid);
    const other = await connect({ id: "local", kind: "local", root });
    process.kill(other.hello.pid, "SIGKILL");
    expect((await other.closed).code).toBe("connection-lost");
  });

  it("does not take junk, frames without form, or a line without end for answers", async () => {
    const head = '#!/bin/sh\necho; echo "mambascope-agent 3.11"\n';
    const cases = {
      "not-json.sh": `${head}echo 'hello there'; exec sleep 30`,
      "no-form.sh": `${head}echo '{"id":"one"}'; exec sleep 30`,
      "endless.sh": `${head}exec cat /dev/zero`,
      "chatty.sh": "#!/bin/sh\nwhile echo noise; do :; done",
    };
    for (const [name, text] of Object.entries(cases)) {
      await expect(connect({ id: "local", kind: "local", root, python: await script(name, text) })).rejects.toMatchObject({ code: "garbage" });
    }
    await expect(connect({ id: "local", kind: "local", root, python: await script("mute.sh", "#!/bin/sh\nexec sleep 30") }, { timeoutMs: 300 })).rejects.toMatchObject({ code: "timeout" });
    const stop = new AbortController();
    const connecting = connect({ id: "local", kind: "local", root, python: await script("slow.sh", "#!/bin/sh\nexec sleep 30") }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 100);
    await expect(connecting).rejects.toMatchObject({ code: "cancelled" });
  });
});

it("splits any bytes into the same lines however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 30 }).map((text) => text.replaceAll("\n", " ")), { maxLength: 20 }), fc.array(fc.nat(40)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const seen: string[] = [];
      const splitter = new LineSplitter(1000, (line) => seen.push(line.toString("utf8")), () => expect.unreachable());
      let start = 0;
      for (const cut of cuts) {
        splitter.push(bytes.subarray(start, start + cut));
        start = Math.min(bytes.length, start + cut);
      }
      splitter.push(bytes.subarray(start));
      expect(seen).toEqual(lines);
    }),
  );
  let overflows = 0;
  const splitter = new LineSplitter(10, () => expect.unreachable(), () => (overflows += 1));
  for (let piece = 0; piece < 5; piece++) splitter.push(Buffer.from("seven.."));
  expect(overflows).toBe(1);
});

async function gone(pid: number): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 20) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`process ${pid} still runs`);
}
