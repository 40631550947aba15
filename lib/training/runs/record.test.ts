import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emptyDigest } from "./digest";
import type { ListedRun } from "./files";
import { localLiveness } from "./liveness";
import { LocalRunFiles, LocalRunSource } from "./local-files";
import { recordOf, stateOf, type RunParts } from "./record";

let home: string;
const put = (run: string, name: string, value: unknown) => {
  mkdirSync(path.join(home, run), { recursive: true });
  writeFileSync(path.join(home, run, name), typeof value === "string" ? value : JSON.stringify(value));
};

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-record-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

describe("the state", () => {
  const none: Pick<ListedRun, "files" | "alive"> = { files: {}, alive: null };
  const launched = (age: number): ListedRun["files"] => ({ "job.json": { inode: 1, size: 1, mtime: 1000 - age } });

  it.each([
    ["running", "alive", "running"],
    ["running", "unknown", "running"],
    ["running", null, "running"],
    ["running", "gone", "interrupted"],
    ["queued", "gone", "interrupted"],
    ["queued", "alive", "queued"],
    ["finished", "gone", "finished"],
    ["stopped", "gone", "stopped"],
    ["failed", "alive", "failed"],
  ] as const)("%s whose process is %s is %s", (status, alive, state) => {
    expect(stateOf(status, { ...none, alive }, 1000)).toBe(state);
  });

  it("without a status is that of a launch for a while, then interrupted", () => {
    expect(stateOf(null, { ...none, alive: "alive" }, 1000)).toBe("queued");
    expect(stateOf(null, { files: launched(10), alive: null }, 1000)).toBe("queued");
    expect(stateOf(null, { files: launched(10), alive: "gone" }, 1000)).toBe("interrupted");
    expect(stateOf(null, { files: launched(1000), alive: null }, 1000)).toBe("interrupted");
    expect(stateOf("odd", none, 1000)).toBe("interrupted");
  });
});

describe("the record", () => {
  const parts = (more: Partial<RunParts>): RunParts => ({
    node: "local",
    listed: { id: "a", files: { "status.json": { inode: 1, size: 1, mtime: 50 } }, alive: "alive" },
    digest: emptyDigest,
    now: 100,
    status: null,
    config: null,
    job: null,
    notes: null,
    ...more,
  });

  it("takes what each file tells", () => {
    const record = recordOf(
      parts({
        status: { state: "running", updated: 99, started: 20, step: 40, steps: 100, tokens: 5, phase: "train", phase_index: 1, phases: 3, pid: 7 },
        config: { name: "n", family: "stories", stages: [{ method: "align", layers: [3, 1] }, { method: "distill", layers: [1, 5] }] },
        job: { name: "My run", created: 10, family: "stories", preset: "demo", steps: [{ name: "train", title: "Training", argv: [] }], launcher: { kind: "process" } },
        notes: { notes: "good", tags: ["a", "b"] },
        digest: { ...emptyDigest, secondsPerStep: 0.5, latest: { loss: 2 } },
      }),
    );
    expect(record).toMatchObject({
      name: "My run",
      method: "align → distill",
      state: "running",
      phaseTitle: "Training",
      phaseIndex: 1,
      step: 40,
      steps: 100,
      secondsLeft: 30,
      created: 10,
      started: 20,
      mambaLayers: [1, 3, 5],
      launcher: "process",
      notes: "good",
      tags: ["a", "b"],
      message: null,
    });
  });

  it("stands whatever the files hold", () => {
    for (const value of [null, 3, "text", [], { state: 7 }, { steps: "many", stages: 5, layers: "all", notes: 4, tags: {}, updated: "now" }]) {
      const record = recordOf(parts({ status: value, config: value, job: value, notes: value }));
      expect(record).toMatchObject({ id: "a", name: "a", tags: [], notes: "", step: 0 });
    }
  });

  it("says that a clock is ahead, and interrupts no run for it", () => {
    const record = recordOf(parts({ status: { state: "running", updated: 100 + 7200, step: 1, steps: 2 } }));
    expect(record.state).toBe("running");
    expect(record.message).toContain("120 min ahead");
    expect(recordOf(parts({ status: { state: "running", updated: -7200, step: 1, steps: 2 } })).state).toBe("running");
  });
});

describe("liveness on this machine", () => {
  const stat = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8");
  const listOf = async (run: string) => (await new LocalRunSource("local", home, localLiveness(new LocalRunFiles(home))).list()).find(({ id }) => id === run);

  it.skipIf(process.platform !== "linux")("is that of the process, not of its number", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const pid = child.pid as number;
    const start = stat(pid).slice(stat(pid).lastIndexOf(")") + 1).trim().split(" ")[19];
    const launch = { kind: "process", host: hostname(), boot_id: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), pid, pid_start: start };
    put("run", "status.json", { state: "running", pid });
    put("run", "launch.json", launch);
    expect((await listOf("run"))?.alive).toBe("alive");
    put("run", "launch.json", { ...launch, pid_start: "1" });
    expect((await listOf("run"))?.alive).toBe("gone");
    put("run", "launch.json", { ...launch, boot_id: "another" });
    expect((await listOf("run"))?.alive).toBe("gone");
    put("run", "launch.json", { ...launch, host: "another" });
    expect((await listOf("run"))?.alive).toBe("unknown");
    put("run", "launch.json", launch);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect((await listOf("run"))?.alive).toBe("gone");
  });

  it("of a run from a command line is that of the process in its status", async () => {
    put("run", "status.json", { state: "running", pid: process.pid });
    expect((await listOf("run"))?.alive).toBeNull();
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    put("run", "status.json", { state: "running", pid: child.pid });
    expect((await listOf("run"))?.alive).toBe("gone");
  });

  it("is not known of a SLURM job that nobody can ask for", async () => {
    put("run", "status.json", { state: "queued" });
    put("run", "launch.json", { kind: "slurm", job_id: 5 });
    const asked = (answer: () => Promise<"alive">) => new LocalRunSource("local", home, localLiveness(new LocalRunFiles(home), answer)).list();
    expect((await asked(() => Promise.resolve("alive")))[0]?.alive).toBe("alive");
    expect((await asked(() => Promise.reject(new Error("no agent"))))[0]?.alive).toBe("unknown");
  });
});

describe("listing", () => {
  it("finds run directories and nothing else", async () => {
    put("good", "config.json", {});
    put("empty", "other.txt", "");
    put("Bad Name", "config.json", {});
    writeFileSync(path.join(home, "file"), "");
    const source = new LocalRunSource("local", home, null);
    expect((await source.list()).map(({ id }) => id)).toEqual(["good"]);
    expect(await new LocalRunSource("local", path.join(home, "nowhere"), null).list()).toEqual([]);
  });

  it("looks seldom at runs that are quiet, but sees a status that is replaced at once", async () => {
    put("old", "status.json", { state: "stopped" });
    put("old", "log.txt", "one\n");
    const past = Date.now() / 1000 - 3600;
    for (const name of ["status.json", "log.txt", "."]) utimesSync(path.join(home, "old", name), past, past);
    const source = new LocalRunSource("local", home, null);
    const sizes = async () => (await source.list())[0]?.files["log.txt"]?.size;
    expect(await sizes()).toBe(4);
    writeFileSync(path.join(home, "old", "log.txt"), "one\ntwo\n");
    const seen: (number | undefined)[] = [];
    for (let i = 0; i < 10; i++) seen.push(await sizes());
    expect([seen[0], seen.at(-1)]).toEqual([4, 8]);
    put("old", "launch.json", {});
    expect((await source.list())[0]?.files["launch.json"]).toBeDefined();
  });
});
