import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listRunsSchema } from "../agent/protocol";
import { connect, type AgentConnection } from "../hosts/connection";
import { endlessStep, isOver, putRun, quickStep, quickWords, readStatus, trainingSteps, untilStatus, type Status } from "../testing/runs";
import { slurmMissing, startSlurm, type TestCluster } from "../testing/slurm";
import { trainerPlaces, trainerPython } from "../testing/trainer-python";
import type { JobStep, Launcher } from "../types";
import { killRun, launchRun, stopRun } from "./launch";

const slurm: Launcher = { kind: "slurm", nodes: 1, gpusPerNode: 0, time: "01:00:00" };

describe.skipIf(slurmMissing !== null || trainerPython === null)("runs through SLURM", () => {
  let cluster: TestCluster;
  let root = "";
  let connection: AgentConnection;

  beforeAll(async () => {
    cluster = await startSlurm();
    root = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
    connection = await connect({ id: "local", kind: "local", root });
  }, 60_000);

  afterAll(async () => {
    connection?.close();
    await cluster?.stop();
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  const launch = async (id: string, steps: readonly JobStep[], launcher = slurm, places = trainerPlaces) => {
    const folder = await putRun(root, id, steps, launcher, { shipped: trainerPlaces.shipped, steps: 400 });
    return { folder, record: await launchRun(connection, { run: id, ...places, launcher }) };
  };
  const jobOf = (record: { kind: string }) => ("job_id" in record ? (record.job_id as number) : 0);
  const livenessOf = async (id: string) => (await connection.ask(listRunsSchema, "list_runs")).runs.find((run) => run.id === id)?.alive;
  /** Asks for the runs until SLURM's word on a waiting or ended job is in its status. */
  const followed = async (folder: string, wanted: (status: Status) => boolean) => {
    for (let attempt = 0; attempt < 120 && !wanted(await readStatus(folder)); attempt++) {
      await livenessOf(path.basename(folder));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return readStatus(folder);
  };

  it("run to their end", async () => {
    const { folder, record } = await launch("whole", [quickStep]);
    expect(record).toMatchObject({ kind: "slurm", job_id: expect.any(Number) });
    expect(await untilStatus(folder, isOver)).toMatchObject({ state: "finished", launcher: "slurm", phase: "check", phases: 1 });
    expect(await readFile(path.join(folder, "log.txt"), "utf8")).toContain(quickWords);
    expect(JSON.parse(await readFile(path.join(folder, "launch.json"), "utf8"))).toEqual(record);
  });

  it("checkpoint when they are stopped, and go on when they are resumed", { timeout: 150_000 }, async () => {
    const { folder, record } = await launch("stopped", trainingSteps);
    await expect(launchRun(connection, { run: "stopped", ...trainerPlaces, launcher: slurm })).rejects.toMatchObject({ code: "run-busy" });
    await untilStatus(folder, ({ phase, step }) => phase === "train" && (step ?? 0) >= 2);
    await stopRun(connection, "stopped");
    const stopped = await untilStatus(folder, isOver);
    expect(stopped.state).toBe("stopped");
    expect(await readdir(path.join(folder, "checkpoints"))).toEqual([`step-${String(stopped.step).padStart(7, "0")}.pt`]);
    const again = await launchRun(connection, { run: "stopped", ...trainerPlaces, launcher: slurm });
    expect(jobOf(again)).toBeGreaterThan(jobOf(record));
    const further = await untilStatus(folder, ({ state, step }) => state === "running" && (step ?? 0) > (stopped.step ?? 0));
    expect(further).toMatchObject({ phase: "train", steps: 400 });
    expect(await readFile(path.join(folder, "log.txt"), "utf8")).toContain(`resumed at step ${stopped.step}`);
    await killRun(connection, "stopped");
    expect(await readStatus(folder)).toMatchObject({ state: "stopped", message: expect.stringContaining("killed") });
    expect(["COMPLETED", "CANCELLED", "FAILED"]).toContain(await cluster.jobState(jobOf(again)));
  });

  it("say why they wait, and leave the queue when they are stopped", async () => {
    const { folder, record } = await launch("waiting", [quickStep], { ...slurm, nodes: 3 });
    expect(await followed(folder, ({ message }) => message !== undefined)).toMatchObject({ state: "queued", message: expect.stringMatching(/^It waits in SLURM's queue \(Partition\w+\)\.$/) });
    expect(await livenessOf("waiting")).toBe("alive");
    await stopRun(connection, "waiting");
    expect(await readStatus(folder)).toMatchObject({ state: "stopped", message: expect.stringContaining("before it began") });
    expect(await cluster.jobState(jobOf(record))).toBe("CANCELLED");
    await expect(stopRun(connection, "waiting")).rejects.toMatchObject({ code: "not-running" });
  });

  it("say why a step failed", async () => {
    const { folder } = await launch("failing", [{ name: "check", title: "Checking", argv: ["verify", "{root}/nothing"] }]);
    expect(await untilStatus(folder, isOver)).toMatchObject({ state: "failed", phase: "check", message: expect.stringContaining("nothing"), action: expect.any(String) });
  });

  it("say what SLURM knows of a job whose runner could say nothing", async () => {
    const { folder } = await launch("silent", [quickStep], slurm, { ...trainerPlaces, trainer: "/nowhere" });
    expect(await followed(folder, isOver)).toMatchObject({ state: "failed", message: expect.stringContaining("No module named") });
  });

  it("are refused with SLURM's own words, and fields that no option can hold never reach it", async () => {
    await expect(launch("refused", [quickStep], { ...slurm, partition: "nowhere" })).rejects.toMatchObject({ code: "slurm-refused", message: expect.stringContaining("invalid partition") });
    expect(await readStatus(path.join(root, "runs", "refused"))).toMatchObject({ state: "failed", message: expect.stringContaining("nowhere") });
    await expect(launch("evil", [quickStep], { ...slurm, partition: "a b;c" })).rejects.toMatchObject({ code: "bad-request" });
  });

  it("run on while SLURM does not answer, which is said to who asks it for something", async () => {
    const { folder } = await launch("frozen", [endlessStep]);
    const { updated: before } = await untilStatus(folder, ({ state }) => state === "running");
    await cluster.freeze();
    try {
      await expect(stopRun(connection, "frozen")).rejects.toMatchObject({ code: "slurm-silent" });
      expect(["alive", "unknown"]).toContain(await livenessOf("frozen"));
      expect(await untilStatus(folder, ({ updated }) => updated > before)).toMatchObject({ state: "running" });
    } finally {
      await cluster.thaw();
    }
    await stopRun(connection, "frozen");
    expect(await untilStatus(folder, isOver)).toMatchObject({ state: "stopped" });
  });
});
