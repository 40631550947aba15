import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, type Db } from "@/lib/db/connection";
import { listNodes } from "@/lib/db/nodes";
import { getRun, listRuns } from "@/lib/db/runs";
import { NodeError } from "../hosts/errors";
import type { RunSource } from "../runs/files";
import { localLiveness } from "../runs/liveness";
import { LocalRunFiles, LocalRunSource } from "../runs/local-files";
import { OpenedRuns } from "../runs/opened-runs";
import { pythonLine, writeRun } from "../runs/testing";
import type { FollowEvent } from "./events";
import { Follower, type FollowerParts } from "./follower";
import { rebuildIndex } from "./rebuild";

let home: string;
let db: Db;
let events: FollowEvent[];
const followers: Follower[] = [];
const children: ChildProcess[] = [];
const folder = (run: string) => path.join(home, "runs", run);

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-follow-"));
  mkdirSync(path.join(home, "runs"));
  db = openDatabase(home).db;
  events = [];
});
afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.stop();
  for (const child of children.splice(0)) child.kill("SIGKILL");
  db.close();
  rmSync(home, { recursive: true, force: true });
});

const sourceOf = () => new LocalRunSource("local", path.join(home, "runs"), localLiveness(new LocalRunFiles(path.join(home, "runs"))));

function follow(parts: Partial<FollowerParts> = {}): Follower {
  const follower = new Follower({ source: sourceOf(), opened: new OpenedRuns(), db, tell: (event) => events.push(event), ...parts });
  followers.push(follower);
  return follower;
}

function replace(run: string, name: string, value: unknown) {
  mkdirSync(folder(run), { recursive: true });
  writeFileSync(path.join(folder(run), `${name}.part`), JSON.stringify(value));
  renameSync(path.join(folder(run), `${name}.part`), path.join(folder(run), name));
}

const taken = <Type extends FollowEvent["type"]>(type: Type) =>
  events.splice(0).filter((event): event is Extract<FollowEvent, { type: Type }> => event.type === type);

async function until(holds: () => boolean) {
  for (let i = 0; !holds(); i++) {
    if (i > 1500) throw new Error("it did not happen");
    await wait(10);
  }
}

describe("a poll", () => {
  it("tells what is new, what changed and what is gone, and only that", async () => {
    writeRun(folder("one"), 100);
    writeRun(folder("two"), 100);
    const follower = follow();
    await follower.poll();
    expect(taken("record").map(({ record }) => record.id).sort()).toEqual(["one", "two"]);
    await follower.poll();
    expect(taken("record")).toEqual([]);
    replace("one", "notes.json", { notes: "fine", tags: ["x"] });
    rmSync(folder("two"), { recursive: true });
    await follower.poll();
    const seen = events.splice(0);
    expect(seen.map((event) => (event.type === "record" ? [event.record.id, event.record.notes, event.record.tags] : event.type))).toEqual([["one", "fine", ["x"]], "run-removed", "seen"]);
    expect(listRuns(db, "local").map(({ id, notes, tags }) => [id, notes, tags])).toEqual([["one", "fine", ["x"]]]);
  });

  it("keeps in the index what a later program shows before it has looked, and reads no measures twice", async () => {
    for (const run of ["one", "two"]) writeRun(folder(run), 200);
    const first = follow();
    await first.poll();
    let reads = 0;
    const source = sourceOf();
    const files = { stat: source.files.stat.bind(source.files), read: (...args: Parameters<LocalRunFiles["read"]>) => ((reads += args[1] === "metrics.jsonl" ? 1 : 0), source.files.read(...args)) };
    events = [];
    const second = follow({ source: { node: "local", files, list: () => source.list() } });
    expect(second.records()).toEqual(first.records());
    await second.poll();
    expect([taken("record"), reads]).toEqual([[], 0]);
  });

  it("goes on past a run that cannot be read, and says so of that run", async () => {
    writeRun(folder("good"), 50);
    writeRun(folder("odd"), 50);
    const source = sourceOf();
    const files = {
      stat: source.files.stat.bind(source.files),
      read: (...args: Parameters<LocalRunFiles["read"]>) => (args[0] === "odd" ? Promise.reject(new NodeError("io", "The disk fails.", "Check it.")) : source.files.read(...args)),
    };
    const follower = follow({ source: { node: "local", files, list: () => source.list() } });
    await follower.poll();
    expect(follower.record("good")?.state).toBe("finished");
    expect(follower.record("odd")?.message).toContain("The disk fails.");
    expect([follower.error, listRuns(db, "local").length]).toEqual([null, 2]);
    taken("record");
    await follower.poll();
    expect(taken("record")).toEqual([]);
  });

  it("does not wait for a long file, whose measures come after", async () => {
    writeRun(folder("long"), 40_000);
    writeRun(folder("short"), 40);
    const follower = follow();
    await follower.poll();
    expect(follower.record("short")?.best.loss).toBeGreaterThan(0);
    expect(follower.record("long")).toMatchObject({ state: "finished", best: {} });
    follower.start();
    await until(() => follower.record("long")?.best.loss !== undefined);
    expect(follower.record("long")?.curve.length).toBe(40);
    expect(getRun(db, "local", "long")?.bestLoss).toBe(follower.record("long")?.best.loss);
  });
});

describe("a node that is away", () => {
  it("is told, keeps its runs, and is asked less and less often", async () => {
    writeRun(folder("one"), 50);
    const local = sourceOf();
    let away = false;
    const times: number[] = [];
    const source: RunSource = {
      node: "local",
      files: local.files,
      list: () => {
        times.push(performance.now());
        return away ? Promise.reject(new NodeError("connection-lost", "The node is away.", "Wait.")) : local.list();
      },
    };
    const follower = follow({ source, intervals: { watched: 10, open: 10, idle: 10, away: 160 } });
    follower.start();
    await until(() => follower.record("one") !== null);
    away = true;
    await until(() => follower.error !== null);
    times.length = 0;
    await until(() => times.length >= 5);
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    expect(Math.max(...gaps.slice(2))).toBeGreaterThan(gaps[0] as number);
    expect(follower.record("one")).not.toBeNull();
    expect(getRun(db, "local", "one")).not.toBeNull();
    away = false;
    await until(() => follower.error === null);
  });

  it("never rejects, whatever its source throws", async () => {
    const source: RunSource = { node: "local", files: sourceOf().files, list: () => Promise.reject(new Error("boom")) };
    const follower = follow({ source });
    await follower.poll();
    expect(taken("seen").map(({ error }) => error?.code)).toEqual(["internal"]);
  });
});

describe("watching", () => {
  it("costs one poll however many watch, and tells each new line once", async () => {
    writeRun(folder("one"), 20, { state: "running" });
    writeFileSync(path.join(folder("one"), "log.txt"), "before\n");
    const follower = follow({ intervals: { watched: 25, open: 50, idle: 10_000 } });
    await follower.poll();
    const ends = Array.from({ length: 200 }, () => follower.watch("one"));
    follower.start();
    await until(() => follower.polls > 3);
    taken("metrics");
    const begun = performance.now();
    const polls = follower.polls;
    for (let i = 0; i < 5; i++) {
      appendFileSync(path.join(folder("one"), "metrics.jsonl"), pythonLine({ kind: "train", step: 1000 + i, tokens: 5, time: 2e9 + i, loss: i / 2, kl: null }));
      appendFileSync(path.join(folder("one"), "log.txt"), `line ${i}\n`);
      appendFileSync(path.join(folder("one"), "samples.jsonl"), `${JSON.stringify({ step: i, prompt: "p", text: "t", teacher: "u" })}\n`);
      await wait(60);
    }
    await until(() => events.filter(({ type }) => type === "samples").length > 0 && JSON.stringify(events).includes("line 4") && JSON.stringify(events).includes('"step":4,'));
    // At least the interval lies between two polls.
    expect(follower.polls - polls).toBeLessThanOrEqual((performance.now() - begun) / 25 + 1);
    const rows = events.flatMap((event) => (event.type === "metrics" ? event.rows : []));
    expect(rows.map(({ step, loss }) => [step, loss])).toEqual([0, 1, 2, 3, 4].map((i) => [1000 + i, i / 2]));
    expect(events.flatMap((event) => (event.type === "log" ? event.text : [])).join("")).toBe("line 0\nline 1\nline 2\nline 3\nline 4\n");
    expect(events.flatMap((event) => (event.type === "samples" ? event.samples.map(({ step }) => step) : []))).toEqual([0, 1, 2, 3, 4]);
    for (const end of ends) end();
    await follower.poll(); // one that was under way when they left may still tell
    events = [];
    appendFileSync(path.join(folder("one"), "log.txt"), "after\n");
    await follower.poll();
    expect(taken("log")).toEqual([]);
  });

  it("tells nothing of a long file that is being read, and then what is new", async () => {
    writeRun(folder("long"), 40_000, { state: "running" });
    const follower = follow({ intervals: { watched: 10 } });
    const end = follower.watch("long");
    follower.start();
    await until(() => follower.open("long").file.complete && follower.record("long")?.best.loss !== undefined);
    await follower.poll();
    appendFileSync(path.join(folder("long"), "metrics.jsonl"), pythonLine({ kind: "train", step: 1e6, tokens: 1, time: 2e9, loss: 3 }));
    await until(() => events.some(({ type }) => type === "metrics"));
    expect(taken("metrics")).toMatchObject([{ reset: false, total: 40_001, rows: [{ step: 1e6, loss: 3 }] }]);
    end();
  });

  it("tells that a file was rewritten, with its rows", async () => {
    writeRun(folder("one"), 10, { state: "running" });
    const follower = follow();
    await follower.poll();
    const end = follower.watch("one");
    await follower.poll();
    events = [];
    writeFileSync(path.join(folder("one"), "m.part"), [0, 1, 2].map((step) => pythonLine({ kind: "train", step, tokens: 1, time: 1e9, loss: step })).join(""));
    renameSync(path.join(folder("one"), "m.part"), path.join(folder("one"), "metrics.jsonl"));
    await follower.poll();
    const [event, ...more] = taken("metrics");
    expect(more).toEqual([]);
    expect(event).toMatchObject({ reset: true, total: 3 });
    expect(event?.rows.map(({ step }) => step)).toEqual([0, 1, 2]);
    end();
  });
});

describe.skipIf(process.platform !== "linux")("a run that is killed", () => {
  it("shows as interrupted, with all that it wrote", async () => {
    mkdirSync(folder("live"));
    // Writes status, metrics and its own launch.json, as a run does.
    const script = `const fs = require("fs"); const at = (n) => ${JSON.stringify(folder("live"))} + "/" + n;
      const put = (n, v) => { fs.writeFileSync(at(n + ".part"), JSON.stringify(v)); fs.renameSync(at(n + ".part"), at(n)); };
      const stat = fs.readFileSync("/proc/self/stat", "utf8"); const start = stat.slice(stat.lastIndexOf(")") + 1).trim().split(" ")[19];
      put("config.json", { name: "live", method: "align", family: "stories", optimiser: { steps: 1000 } });
      put("launch.json", { kind: "process", pid: process.pid, pid_start: start, boot_id: fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), host: ${JSON.stringify(hostname())} });
      let step = 0; setInterval(() => { step++; fs.appendFileSync(at("metrics.jsonl"), JSON.stringify({ kind: "train", step, tokens: step, time: Date.now() / 1000, loss: 1 / step }) + "\\n");
        put("status.json", { state: "running", updated: Date.now() / 1000, pid: process.pid, step, steps: 1000, tokens: step }); }, 5);`;
    const child = spawn(process.execPath, ["-e", script]);
    children.push(child);
    const follower = follow({ intervals: { watched: 20, open: 20, idle: 20 } });
    follower.start();
    await until(() => (follower.record("live")?.step ?? 0) > 5);
    expect(follower.record("live")?.state).toBe("running");
    child.kill("SIGKILL");
    await once(child, "exit");
    await until(() => follower.record("live")?.state === "interrupted");
    await follower.poll();
    const lines = readFileSync(path.join(folder("live"), "metrics.jsonl"), "utf8").trim().split("\n");
    expect(follower.open("live").file.lines.lines).toBe(lines.length);
    expect(follower.record("live")?.action).toContain("Resume");
    expect(getRun(db, "local", "live")?.state).toBe("interrupted");
  });
});

describe("the index", () => {
  it("that cannot be written holds nothing up, and is written later", async () => {
    writeRun(folder("one"), 20);
    writeRun(folder("two"), 20);
    const follower = follow();
    await follower.poll();
    // Writes fail as they do on a full disk.
    db.exec(`PRAGMA max_page_count = ${Number(Object.values(db.prepare("PRAGMA page_count").get() as object)[0])}`);
    replace("one", "notes.json", { notes: "x".repeat(200_000), tags: [] });
    rmSync(folder("two"), { recursive: true });
    await follower.poll();
    expect([follower.error, follower.record("one")?.notes.length, follower.record("two")]).toEqual([null, 200_000, null]);
    expect(follower.indexProblem).toContain("full");
    expect(listRuns(db, "local").map(({ id }) => id).sort()).toEqual(["one", "two"]);
    db.exec("PRAGMA max_page_count = 1000000");
    await follower.poll();
    expect(follower.indexProblem).toBeNull();
    expect(listRuns(db, "local").map(({ id, notes }) => [id, notes.length])).toEqual([["one", 200_000]]);
  });

  it("is the same when it is made again from the run directories", async () => {
    const project = path.join(home, "project");
    mkdirSync(path.join(project, "results", "runs"), { recursive: true });
    cpSync(path.join(process.cwd(), "results", "runs", "stories-align"), path.join(project, "results", "runs", "stories-align"), { recursive: true });
    const step = fc.oneof(
      fc.record({ do: fc.constant("write" as const), run: fc.nat(3), lines: fc.integer({ min: 1, max: 60 }), state: fc.constantFrom("stopped", "finished", "failed") }),
      fc.record({ do: fc.constant("append" as const), run: fc.nat(3), loss: fc.double({ min: 0, max: 9, noNaN: true }) }),
      fc.record({ do: fc.constant("note" as const), run: fc.nat(3), notes: fc.string(), tags: fc.array(fc.string(), { maxLength: 3 }) }),
      fc.record({ do: fc.constant("delete" as const), run: fc.nat(3) }),
      fc.record({ do: fc.constant("restart" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        rmSync(path.join(home, "runs"), { recursive: true, force: true });
        mkdirSync(path.join(home, "runs"));
        await follow().poll(); // the index forgets the runs before, whose inodes may come again
        let follower = follow();
        for (const [i, action] of steps.entries()) {
          const run = "run" in action ? `run-${action.run}` : "";
          if (action.do === "write") writeRun(folder(run), action.lines, { state: action.state, seed: i });
          else if (action.do === "note") replace(run, "notes.json", { notes: action.notes, tags: action.tags });
          else if (action.do === "delete") rmSync(folder(run), { recursive: true, force: true });
          else if (action.do === "restart") follower = follow();
          else {
            mkdirSync(folder(run), { recursive: true });
            appendFileSync(path.join(folder(run), "metrics.jsonl"), pythonLine({ kind: "eval", step: 5000 + i, tokens: 1, time: 2e9 + i, loss: action.loss, kl: action.loss / 2 }));
          }
          await follower.poll();
        }
        const shipped = follow({ source: new LocalRunSource("shipped", path.join(project, "results", "runs"), null) });
        await shipped.poll();
        const before = listNodes(db).map(({ id }) => listRuns(db, id));
        const { problems } = await rebuildIndex(home, project);
        expect(problems).toEqual([]);
        expect(listNodes(db).map(({ id }) => listRuns(db, id))).toEqual(before);
        expect(before.flat().length).toBeGreaterThan(0);
      }),
      { numRuns: 15 },
    );
  });

  it("of a node that is away is made from the copies of its runs", async () => {
    db.exec("INSERT INTO nodes (id, name, kind, destination, created) VALUES ('box', 'Box', 'ssh', 'me@box', 1)");
    writeRun(path.join(home, "mirror", "box", "far"), 30);
    writeRun(path.join(home, "mirror", "gone", "lost"), 30);
    const { nodes, problems } = await rebuildIndex(home, home);
    expect(nodes).toContainEqual({ node: "box", runs: 1 });
    expect(problems).toEqual([expect.stringContaining('"gone"')]);
    expect(getRun(db, "box", "far")?.state).toBe("finished");
  });
});
