/** A real SLURM for tests: controller, two hosts and munge of its own, on loopback ports, in a folder that `stop` deletes. Needs root. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { freePort } from "./sshd";

const execute = promisify(execFile);
const programs = ["/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch"] as const;
const [munged, slurmctld, slurmd] = programs;
const missing = programs.filter((program) => !existsSync(program));

/** Why tests with SLURM cannot run here; null if they can. */
export const slurmMissing: string | null =
  missing.length > 0 ? `${missing.join(", ")} missing: install slurm-wlm and munge` : process.getuid?.() !== 0 ? "SLURM's daemons need root" : null;

const hosts = ["n1", "n2"] as const;

export type TestCluster = {
  folder: string;
  /** What finds the cluster: SLURM_CONF, which is set in this process's environment while the cluster runs. */
  config: string;
  /** Holds the controller still, as one that is overloaded or cut off, and lets it go on. */
  freeze: () => Promise<void>;
  thaw: () => Promise<void>;
  /** SLURM's word for a job's state. */
  jobState: (job: number) => Promise<string>;
  stop: () => Promise<void>;
};

/** Starts the cluster; every host has four (claimed) cores. Rejects if it is not idle within fifteen seconds. */
export async function startSlurm(): Promise<TestCluster> {
  const folder = await mkdtemp(path.join(tmpdir(), "mambascope-slurm-"));
  const at = (...names: string[]) => path.join(folder, ...names);
  // munged wants a folder that others can enter and nobody else can write to.
  await chmod(folder, 0o711);
  await Promise.all(["munge", "state", ...hosts.map((host) => `spool/${host}`)].map((name) => mkdir(at(name), { recursive: true })));
  await writeFile(at("munge", "key"), randomBytes(1024), { mode: 0o600 });
  await writeFile(at("slurm.conf"), await configuration(folder));

  const before = process.env.SLURM_CONF;
  process.env.SLURM_CONF = at("slurm.conf");
  const pids = [at("n1.pid"), at("n2.pid"), at("slurmctld.pid"), at("munge", "pid")];
  const stop = async () => {
    // Jobs outlive the daemons: they end first.
    const jobs = (await execute("squeue", ["--noheader", "--format=%A"]).catch(() => ({ stdout: "" }))).stdout.split("\n").filter(Boolean);
    if (jobs.length > 0) await execute("scancel", ["--signal=KILL", "--full", ...jobs]).catch(() => undefined);
    if (before === undefined) delete process.env.SLURM_CONF;
    else process.env.SLURM_CONF = before;
    for (const file of pids) await endProcess(file);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const controller = async () => Number(await readFile(at("slurmctld.pid"), "utf8"));
  try {
    const munge = ["key-file=key", "socket=socket", "pid-file=pid", "log-file=log", "seed-file=seed"].map((option) => `--${option.replace("=", `=${at("munge")}/`)}`);
    await execute(munged, [...munge, "--force"]);
    await execute(slurmctld, ["-c", "-f", at("slurm.conf")]);
    for (const host of hosts) await execute(slurmd, ["-N", host, "-f", at("slurm.conf")]);
    await waitUntilIdle();
  } catch (error) {
    const log = await readFile(at("slurmctld.log"), "utf8").catch(() => "");
    await stop();
    throw new Error(`SLURM does not start: ${String(error)}\n${log.slice(-2000)}`, { cause: error });
  }
  return {
    folder,
    config: at("slurm.conf"),
    freeze: async () => void process.kill(await controller(), "SIGSTOP"),
    thaw: async () => void process.kill(await controller(), "SIGCONT"),
    jobState: async (job) => /JobState=(\w+)/.exec((await execute("scontrol", ["--oneliner", "show", "job", String(job)])).stdout)?.[1] ?? "",
    stop,
  };
}

async function configuration(folder: string): Promise<string> {
  const host = hostname();
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const nodes = hosts.map((name, index) => `NodeName=${name} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${ports[index + 1]} CPUs=4 State=UNKNOWN`);
  return `${[
    "ClusterName=mambascope",
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmctldPort=${ports[0]}`,
    "SlurmUser=root",
    "SlurmdUser=root",
    "AuthType=auth/munge",
    `AuthInfo=socket=${folder}/munge/socket`,
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool/%n`,
    `SlurmctldPidFile=${folder}/slurmctld.pid`,
    `SlurmdPidFile=${folder}/%n.pid`,
    `SlurmctldLogFile=${folder}/slurmctld.log`,
    `SlurmdLogFile=${folder}/%n.log`,
    // Neither control groups nor accounting: a container has none.
    "ProctrackType=proctrack/linuxproc",
    "TaskPlugin=task/none",
    "JobAcctGatherType=jobacct_gather/none",
    "AccountingStorageType=accounting_storage/none",
    "JobCompType=jobcomp/none",
    "SwitchType=switch/none",
    "MpiDefault=none",
    "SelectType=select/cons_tres",
    "SelectTypeParameters=CR_Core",
    "SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0",
    "SlurmdParameters=config_overrides",
    "ReturnToService=2",
    "MessageTimeout=3",
    "KillWait=5",
    ...nodes,
    `PartitionName=main Nodes=${hosts.join(",")} Default=YES MaxTime=INFINITE State=UP`,
  ].join("\n")}\n`;
}

async function waitUntilIdle(): Promise<void> {
  for (let attempt = 0; attempt < 75; attempt++) {
    const { stdout } = await execute("sinfo", ["--noheader", "--Node", "--format=%T"]).catch(() => ({ stdout: "" }));
    if (stdout.trim().split("\n").filter((state) => state === "idle").length === hosts.length) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("its hosts do not become idle");
}

/** Ends a daemon by its pid file, at once if it does not end in time. */
async function endProcess(file: string): Promise<void> {
  const pid = Number(await readFile(file, "utf8").catch(() => ""));
  if (!pid) return;
  for (let attempt = 0; attempt < 60; attempt++) {
    try {
      if (attempt === 0) process.kill(pid, "SIGCONT");
      process.kill(pid, attempt === 0 ? "SIGTERM" : attempt === 50 ? "SIGKILL" : 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
