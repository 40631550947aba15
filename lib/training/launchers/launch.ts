/** Runs on a node: started, stopped and killed by its agent, as a process or through SLURM, as the run's job says. */
import { z } from "zod";
import type { AgentConnection } from "../hosts/connection";
import { runIdSchema, type Launcher } from "../types";

/** Longer than the agent waits for a runner's first word, or for SLURM. */
const timeoutMs = 90_000;

const processRecordSchema = z.object({
  kind: z.literal("process"),
  host: z.string(),
  boot_id: z.string(),
  pid: z.number().int(),
  /** When the process began, so that a number used again is not taken for it. */
  pid_start: z.string().nullable(),
  time: z.number(),
  argv: z.array(z.string()),
  gpus: z.union([z.enum(["all", "none"]), z.array(z.number().int())]),
});
const slurmRecordSchema = z.object({ kind: z.literal("slurm"), job_id: z.number().int(), time: z.number() });

/** `launch.json`: how a run was started last. */
export const launchRecordSchema = z.discriminatedUnion("kind", [processRecordSchema, slurmRecordSchema]);
export type LaunchRecord = z.infer<typeof launchRecordSchema>;

export type LaunchOrder = {
  run: string;
  /** Absolute paths on the node: the interpreter, the folder of the package, the bundles that ship. */
  python: string;
  trainer: string;
  shipped: string;
  launcher: Launcher;
};

type Connection = Pick<AgentConnection, "ask" | "call">;

/**
 * Starts a run whose directory holds job.json, or goes on with it. Rejects with NodeError `run-busy`, `launch-failed`, `slurm-refused`,
 * `slurm-silent`, `slurm-missing`; the run's status then says so too.
 */
export function launchRun(connection: Connection, order: LaunchOrder, signal?: AbortSignal): Promise<LaunchRecord> {
  return connection.ask(launchRecordSchema, "launch", order, { timeoutMs, ...(signal && { signal }) });
}

/** Asks a run to checkpoint and end; its status says when it has. Rejects with NodeError `not-running`, `other-host`, `slurm-silent`. */
export async function stopRun(connection: Connection, run: string): Promise<void> {
  await connection.call("stop", { run }, { timeoutMs });
}

/** Ends a run at once, with all that it started. Rejects as {@link stopRun}, and with `kill-failed`. */
export async function killRun(connection: Connection, run: string): Promise<void> {
  await connection.call("kill", { run }, { timeoutMs });
}

const gpuUseSchema = z.object({ uses: z.array(z.object({ run: runIdSchema, gpus: z.union([z.literal("all"), z.array(z.number().int())]) })) });
export type GpuUse = z.infer<typeof gpuUseSchema>["uses"];

/** The GPUs that runs have which were started on this node as processes. */
export async function gpusInUse(connection: Connection): Promise<GpuUse> {
  return (await connection.ask(gpuUseSchema, "gpu_use")).uses;
}
