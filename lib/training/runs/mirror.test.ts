import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeError } from "../hosts/errors";
import type { FilePart, RunFiles } from "./files";
import { LocalRunFiles, LocalRunSource } from "./local-files";
import { MetricsFile } from "./metrics-file";
import { MirroredRunFiles } from "./mirror";
import type { RunFileName } from "./names";
import { writeRun } from "./testing";

/** A node's files on this disk, which may be out of reach. */
class Node implements RunFiles {
  away = false;
  /** Bytes that went over the link. */
  sent = 0;
  private readonly files: LocalRunFiles;

  constructor(readonly folder: string) {
    this.files = new LocalRunFiles(folder);
  }

  async read(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    if (this.away) throw new NodeError("connection-lost", "The node is away.", "Wait.");
    const part = await this.files.read(run, name, offset, length);
    this.sent += part?.bytes.length ?? 0;
    return part;
  }

  stat(run: string, name: RunFileName) {
    if (this.away) return Promise.reject(new NodeError("connection-lost", "The node is away.", "Wait."));
    return this.files.stat(run, name);
  }
}

let home: string;
let node: Node;
let mirror: MirroredRunFiles;
const at = (name: string) => path.join(home, "node", "run", name);
const open = () => new MirroredRunFiles(node, path.join(home, "mirror"));
const list = async () => mirror.listed(await new LocalRunSource("box", path.join(home, "node"), null).list());

function replace(name: string, content: string) {
  writeFileSync(at(`${name}.part`), content);
  renameSync(at(`${name}.part`), at(name));
}

async function textOf(name: RunFileName, offset = 0, length = 1 << 20): Promise<string | null> {
  const part = await mirror.read("run", name, offset, length);
  return part && Buffer.from(part.bytes).toString();
}

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-mirror-"));
  mkdirSync(path.join(home, "node", "run"), { recursive: true });
  node = new Node(path.join(home, "node"));
  writeFileSync(at("config.json"), "{}");
  mirror = open();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

describe("a file that grows", () => {
  it("is sent once, and read here while the node is away, also by a later program", async () => {
    writeRun(path.join(home, "node", "run"), 4000);
    await list();
    const bytes = readFileSync(at("metrics.jsonl"));
    const first = new MetricsFile(mirror, "run");
    await first.update();
    expect(first.lines.lines).toBe(4000);
    expect(node.sent).toBeLessThan(bytes.length + 500);
    node.sent = 0;
    mirror = open();
    await list();
    const second = new MetricsFile(mirror, "run");
    await second.update();
    expect([second.lines.lines, node.sent]).toEqual([4000, 0]);
    node.away = true;
    mirror = open();
    const third = new MetricsFile(mirror, "run");
    await third.update();
    expect([third.lines.lines, third.complete]).toEqual([4000, true]);
    expect(readFileSync(path.join(home, "mirror", "run", "metrics.jsonl")).equals(bytes)).toBe(true);
  });

  it("stays readable when it was read on after the node listed it", async () => {
    writeFileSync(at("log.txt"), "one\n");
    await list();
    appendFileSync(at("log.txt"), "two\n");
    expect(await textOf("log.txt")).toBe("one\ntwo\n");
    // As a reader does that has all of it.
    expect(await textOf("log.txt", 8)).toBe("");
    node.away = true;
    expect(await textOf("log.txt", 8)).toBe("");
    mirror = open();
    expect(await textOf("log.txt")).toBe("one\ntwo\n");
  });

  it("is copied anew when it shrank after it was read", async () => {
    writeFileSync(at("log.txt"), "one\ntwo\n");
    await list();
    expect(await textOf("log.txt")).toBe("one\ntwo\n");
    writeFileSync(at("log.txt"), "six\n");
    await list();
    expect(await textOf("log.txt")).toBe("six\n");
    node.away = true;
    expect(await textOf("log.txt")).toBe("six\n");
  });

  it("reads as the node's own, whatever happens to it and to the link", async () => {
    const action = fc.oneof(
      { arbitrary: fc.record({ do: fc.constant("append" as const), text: fc.string({ minLength: 1, maxLength: 200 }) }), weight: 4 },
      { arbitrary: fc.record({ do: fc.constantFrom("replace" as const, "rewrite" as const), text: fc.string({ maxLength: 400 }) }), weight: 1 },
      { arbitrary: fc.record({ do: fc.constant("read" as const), offset: fc.oneof(fc.constant(0), fc.nat(600)), length: fc.nat(600) }), weight: 4 },
      { arbitrary: fc.record({ do: fc.constantFrom("list" as const, "reopen" as const) }), weight: 2 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        rmSync(path.join(home, "mirror"), { recursive: true, force: true });
        mirror = open();
        let salt = 0;
        replace("log.txt", "");
        for (const step of actions) {
          // Contents of two writes are never alike, as times in a log are not.
          if (step.do === "append") appendFileSync(at("log.txt"), step.text);
          else if (step.do === "replace") replace("log.txt", `${salt++} ${step.text}`);
          else if (step.do === "rewrite") writeFileSync(at("log.txt"), `${salt++} ${step.text}`);
          else if (step.do === "reopen") mirror = open();
          if (step.do !== "read") {
            await list();
            continue;
          }
          await list();
          const whole = readFileSync(at("log.txt"));
          let read = Buffer.alloc(0);
          // A reader asks until it has what it wants, or the end.
          while (read.length < step.length) {
            const part = await mirror.read("run", "log.txt", step.offset + read.length, step.length - read.length);
            if (!part || part.bytes.length === 0) break;
            read = Buffer.concat([read, part.bytes]);
          }
          expect(read.toString("hex")).toBe(whole.subarray(step.offset, step.offset + step.length).toString("hex"));
        }
      }),
      { numRuns: 60 },
    );
  });
});

it("a longer file with the inode of the one that was copied is another", async () => {
  writeFileSync(at("log.txt"), "one\ntwo\n");
  await list();
  expect(await textOf("log.txt")).toBe("one\ntwo\n");
  writeFileSync(at("log.txt"), "uno\ndue\ntre\n");
  await list();
  expect(await textOf("log.txt", 0, 4)).toBe("uno\n");
});

describe("a file that is replaced", () => {
  it("is sent again only if it changed", async () => {
    replace("status.json", '{"state": "running"}');
    await list();
    expect(await textOf("status.json")).toBe('{"state": "running"}');
    node.sent = 0;
    expect(await textOf("status.json")).toBe('{"state": "running"}');
    expect(node.sent).toBe(0);
    replace("status.json", '{"state": "stopped"}');
    await list();
    expect(await textOf("status.json")).toBe('{"state": "stopped"}');
    node.away = true;
    expect(await textOf("status.json")).toBe('{"state": "stopped"}');
  });

  it("is gone here when it is gone there", async () => {
    replace("notes.json", "{}");
    await list();
    expect(await textOf("notes.json")).toBe("{}");
    rmSync(at("notes.json"));
    await list();
    expect(await textOf("notes.json")).toBeNull();
    node.away = true;
    await expect(textOf("notes.json")).rejects.toThrow("away");
  });
});

it.each([
  ["its note is torn", () => writeFileSync(path.join(home, "mirror", "run", "mirror.json"), "{ torn")],
  ["it was deleted", () => rmSync(path.join(home, "mirror", "run", "metrics.jsonl"))],
  ["it was cut", () => truncateSync(path.join(home, "mirror", "run", "metrics.jsonl"), 100)],
])("a copy is fetched again where %s", async (_name, damage) => {
  writeRun(path.join(home, "node", "run"), 500);
  await list();
  await new MetricsFile(mirror, "run").update();
  damage();
  mirror = open();
  await list();
  const metrics = new MetricsFile(mirror, "run");
  await metrics.update();
  expect(metrics.lines.lines).toBe(500);
});

it("a copy that cannot be written is done without", async () => {
  writeRun(path.join(home, "node", "run"), 500);
  replace("status.json", "{}");
  writeFileSync(path.join(home, "mirror"), "a file where the folder should be");
  await list();
  const metrics = new MetricsFile(mirror, "run");
  await metrics.update();
  expect([metrics.lines.lines, await textOf("status.json")]).toEqual([500, "{}"]);
});

it("a run's copy can be forgotten, and names outside of a run are refused", async () => {
  replace("status.json", "{}");
  await textOf("status.json");
  await mirror.forget("run");
  node.away = true;
  await expect(textOf("status.json")).rejects.toThrow("away");
  await expect(mirror.forget("..")).rejects.toThrow();
  expect(() => mirror.read("../node", "status.json", 0, 1)).toThrow();
});
