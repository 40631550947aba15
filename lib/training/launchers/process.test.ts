import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listRunsSchema } from "../agent/protocol";
import { connect, type AgentConnection } from "../hosts/connection";
import { endlessStep, isOver, putRun, quickStep, quickWords, readStatus, untilStatus } from "../testing/runs";
import { trainerPlaces, trainerPython } from "../testing/trainer-python";
import type { JobStep, Launcher } from "../types";
import { gpusInUse, killRun, launchRun, stopRun } from "./launch";

const launcher: Launcher = { kind: "process", gpus: "none" };

describe.skipIf(trainerPython === null)("runs as processes", () => {
  let root = "";
  let connection: AgentConnection;

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
    connection = await connect({ id: "local", kind: "local", root });
  });

  afterAll(async () => {
    connection?.close();
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  });

  const launch = async (id: string, steps: readonly JobStep[], how = launcher, places = trainerPlaces) => {
    const folder = await putRun(root, id, steps, how);
    return { folder, record: await launchRun(connection, { run: id, ...places, launcher: how }) };
  };
  const livenessOf = async (id: string) => (await connection.ask(listRunsSchema, "list_runs")).runs.find((run) => run.id === id)?.alive;
  /** Processes whose command line names the run. */
  const processesOf = async (folder: string) => (await promisify(execFile)("ps", ["-A", "-ww", "-o", "args="])).stdout.split("\n").filter((line) => line.includes(folder));

  it("run to their end, though nobody stays connected", async () => {
    const { folder, record } = await launch("whole", [quickStep]);
    expect(record).toMatchObject({ kind: "process", host: connection.hello.hostname, boot_id: connection.hello.boot_id, gpus: "none" });
    connection.close();
    await connection.closed;
    expect(await untilStatus(folder, isOver)).toMatchObject({ state: "finished", phase: "check", phases: 1, launcher: "process" });
    expect(await readFile(path.join(folder, "log.txt"), "utf8")).toContain(quickWords);
    connection = await connect({ id: "local", kind: "local", root });
    await expect.poll(() => livenessOf("whole")).toBe("gone");
    await expect(stopRun(connection, "whole")).rejects.toMatchObject({ code: "not-running" });
  });

  it("are found again, stopped and resumed", async () => {
    const { folder, record } = await launch("found", [quickStep, endlessStep], { ...launcher, gpus: [1] });
    expect(await readStatus(folder)).toMatchObject({ state: "running", pid: "pid" in record && record.pid, pid_start: "pid" in record && record.pid_start });
    connection.close();
    await connection.closed;
    connection = await connect({ id: "local", kind: "local", root });
    expect(await livenessOf("found")).toBe("alive");
    expect(await gpusInUse(connection)).toEqual([{ run: "found", gpus: [1] }]);
    await expect(launchRun(connection, { run: "found", ...trainerPlaces, launcher })).rejects.toMatchObject({ code: "run-busy" });
    await untilStatus(folder, ({ phase }) => phase === "train");
    await stopRun(connection, "found");
    expect(await untilStatus(folder, isOver)).toMatchObject({ state: "stopped", phase: "train" });
    // At once: what is left of the first start is waited for.
    await launchRun(connection, { run: "found", ...trainerPlaces, launcher });
    expect(await untilStatus(folder, ({ state, phase }) => state === "running" && phase === "train")).toBeDefined();
    expect((await readFile(path.join(folder, "log.txt"), "utf8")).split(quickWords)).toHaveLength(2);
    await killRun(connection, "found");
    expect(await gpusInUse(connection)).toEqual([]);
  });

  it("are killed with all that they started", async () => {
    const { folder } = await launch("killed", [{ ...endlessStep, processes: 2 }]);
    const torchrun = async () => (await processesOf(folder)).filter((line) => line.includes("torch.distributed.run")).length > 0 && (await processesOf(folder)).length >= 4;
    await expect.poll(torchrun, { timeout: 40_000, interval: 200 }).toBe(true);
    await killRun(connection, "killed");
    expect(await processesOf(folder)).toEqual([]);
    expect(await readStatus(folder)).toMatchObject({ state: "stopped", message: expect.stringContaining("killed") });
    expect(await livenessOf("killed")).toBe("gone");
  });

  it("say why they cannot begin", async () => {
    await expect(launch("no-trainer", [quickStep], launcher, { ...trainerPlaces, trainer: "/nowhere" })).rejects.toMatchObject({ code: "launch-failed", message: expect.stringContaining("No module named") });
    expect(await readStatus(path.join(root, "runs", "no-trainer"))).toMatchObject({ state: "failed", message: expect.stringContaining("No module named") });
    await expect(launch("no-python", [quickStep], launcher, { ...trainerPlaces, python: "/nowhere/python" })).rejects.toMatchObject({ code: "launch-failed" });
    await expect(launchRun(connection, { run: "absent", ...trainerPlaces, launcher })).rejects.toMatchObject({ code: "not-found" });
    await expect(connection.call("launch", { run: "../whole", ...trainerPlaces, launcher })).rejects.toMatchObject({ code: "bad-request" });
    await expect(launch("bad-gpus", [quickStep], { kind: "process", gpus: [-1] })).rejects.toMatchObject({ code: "bad-request" });
  });
});
