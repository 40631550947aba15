/** Whether the process of a run on this machine lives: as the node agent tells it (`agent/identity.py`), without an agent. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { z } from "zod";
import type { Liveness } from "../agent/protocol";
import { readJson, type ListedRun, type RunFiles } from "./files";

const run = promisify(execFile);

const launchSchema = z.discriminatedUnion("kind", [
  z.looseObject({ kind: z.literal("process"), host: z.string(), boot_id: z.string(), pid: z.number(), pid_start: z.string().nullable() }),
  z.looseObject({ kind: z.literal("slurm"), job_id: z.number() }),
]);
const statusPidSchema = z.looseObject({ state: z.string(), pid: z.number().int().positive() });

/** A probe for the runs of `files`. `queue`: asks SLURM for a job; without it nothing is known of SLURM's. */
export function localLiveness(files: RunFiles, queue: (run: string) => Promise<Liveness | null> = () => Promise.resolve("unknown")) {
  return async (listed: ListedRun): Promise<Liveness | null> => {
    const status = statusPidSchema.safeParse(await readJson(files, listed.id, "status.json")).data;
    if (status && status.state !== "running" && status.state !== "queued") return listed.files["launch.json"] ? "gone" : null;
    if (!listed.files["launch.json"]) {
      // Started on a command line: its status tells only the number of the process, which another may have by now.
      return status && !isAlive(status.pid) ? "gone" : null;
    }
    const launch = launchSchema.safeParse(await readJson(files, listed.id, "launch.json")).data;
    if (!launch) return "unknown";
    // Without an agent, as where Python is missing, nobody can ask; the other runs are listed all the same.
    if (launch.kind === "slurm") return queue(listed.id).catch(() => "unknown");
    if (launch.host !== hostname()) return "unknown";
    if (launch.boot_id !== (await bootId()) || launch.pid_start === null) return "gone";
    return (await processStart(launch.pid)) === launch.pid_start ? "alive" : "gone";
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, "code") === "EPERM";
  }
}

/** When a process began (ticks since the boot on Linux, a date elsewhere); null if it has ended. */
async function processStart(pid: number): Promise<string | null> {
  if (process.platform === "linux") {
    const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
    // The command's name, in parentheses, may hold anything.
    const fields = text?.slice(text.lastIndexOf(")") + 1).trim().split(/\s+/);
    return !fields || "ZX".includes(fields[0] ?? "X") ? null : (fields[19] ?? null);
  }
  const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.trim().split(/\s+/).join(" ") || null;
}

let boot: Promise<string> | null = null;

/** A name of the time since the machine started. */
function bootId(): Promise<string> {
  boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
    (text) => text.trim(),
    () => run("sysctl", ["-n", "kern.boottime"]).then(({ stdout }) => stdout, () => ""),
  );
  return boot;
}
