import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type AgentConnection } from "../hosts/connection";
import { isOver, putRun, trainingSteps, untilStatus } from "../testing/runs";
import { slurmMissing, startSlurm, type TestCluster } from "../testing/slurm";
import { trainerPlaces, trainerPython } from "../testing/trainer-python";
import { launchRun, stopRun } from "./launch";

describe.skipIf(slurmMissing !== null || trainerPython === null)("a run on two hosts of SLURM", () => {
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

  it("trains with a process on each, and all of them checkpoint when it is stopped", { timeout: 150_000 }, async () => {
    const launcher = { kind: "slurm", nodes: 2, gpusPerNode: 0 } as const;
    const folder = await putRun(root, "hosts", trainingSteps, launcher, { shipped: trainerPlaces.shipped, steps: 1000 });
    await launchRun(connection, { run: "hosts", ...trainerPlaces, launcher });
    await untilStatus(folder, ({ state, phase, step }) => state === "failed" || (phase === "train" && (step ?? 0) >= 2), 100);
    expect(await readFile(path.join(folder, "log.txt"), "utf8")).toContain("2 processes: ddp");
    await stopRun(connection, "hosts");
    const stopped = await untilStatus(folder, isOver);
    expect(stopped).toMatchObject({ state: "stopped", phase: "train" });
    // Several processes write a folder of shards.
    expect(await readdir(path.join(folder, "checkpoints"))).toEqual([`step-${String(stopped.step).padStart(7, "0")}`]);
  });
});
