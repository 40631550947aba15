/** Looks whether a node can be used for training, step by step; each failure says how to mend it. */
import { z } from "zod";
import { diskSchema } from "../agent/protocol";
import type { AgentConnection } from "../hosts/connection";
import { asNodeError, cancelledError, NodeError } from "../hosts/errors";
import type { Gpu, NodeCheckStep } from "../types";
import { gpusOf, slurmSchema } from "./facts";
import { findEnvironment, torchSchema, type TorchFacts } from "./prepare";

export type CheckOptions = {
  project: string;
  signal?: AbortSignal;
  /** Called with `running` when a step begins, then with its outcome. */
  onStep?: (step: NodeCheckStep) => void;
  /** Bytes that the next run needs beside the environment. */
  neededBytes?: number;
};

type Name = NodeCheckStep["name"];
type Outcome = Pick<NodeCheckStep, "state" | "detail" | "action">;

const titles: Record<Name, string> = { connection: "Connection", python: "Python", torch: "PyTorch", cuda: "CUDA", gpus: "GPUs", disk: "Disk", write: "Write access", slurm: "SLURM" };
const gib = 1024 ** 3;
const lowDisk = 5 * gib;
const size = (bytes: number) => `${(bytes / gib).toFixed(bytes < 10 * gib ? 1 : 0)} GiB`;
const pythonSchema = z.object({ path: z.string(), version: z.string(), torch: torchSchema.nullable() });

/** Runs all steps. Those that cannot be made, because another failed, are `skipped`. Rejects only with NodeError `cancelled`. */
export async function checkNode(connect: () => Promise<AgentConnection>, { project, signal, onStep, neededBytes = 0 }: CheckOptions): Promise<NodeCheckStep[]> {
  const steps: NodeCheckStep[] = [];
  const step = async (name: Name, work: () => Promise<Outcome>): Promise<boolean> => {
    const head = { name, title: titles[name] };
    onStep?.({ ...head, state: "running", detail: "" });
    const outcome = await work().catch((error: unknown): Outcome => {
      const { message, action } = asNodeError(error);
      return { state: "fail", detail: message, action };
    });
    if (signal?.aborted) throw cancelledError();
    const done = { ...head, ...outcome };
    steps.push(done);
    onStep?.(done);
    return done.state !== "fail";
  };
  const options = signal ? { signal } : {};

  const found: { node: AgentConnection | null; gpus: Gpu[]; torch: TorchFacts | null; prepared: boolean } = { node: null, gpus: [], torch: null, prepared: false };
  await step("connection", async () => {
    const begun = Date.now();
    found.node = await connect();
    const { hello } = found.node;
    return { state: "ok", detail: `${hello.user}@${hello.hostname}, ${hello.platform}, ${hello.cpus} cores (${Date.now() - begun} ms)` };
  });
  const { node } = found;
  if (!node) {
    const rest: Name[] = ["python", "gpus", "torch", "cuda", "disk", "write", "slurm"];
    for (const name of rest) await step(name, async () => ({ state: "skipped", detail: "Not looked at: there is no connection." }));
    return steps;
  }

  await step("gpus", async () => {
    found.gpus = await gpusOf(node, options);
    return describeGpus(found.gpus);
  });
  const python = await step("python", async () => {
    const environment = await findEnvironment(node, { project, ...options });
    found.prepared = environment !== null;
    // Trying a Python's PyTorch means importing it, which takes its time on a network file system.
    const params = { gpus: found.gpus.length > 0, torch: !found.prepared, ...(node.address.python === null ? {} : { python: node.address.python }) };
    const answer = await node.ask(pythonSchema, "python", params, { ...options, timeoutMs: 600_000 });
    found.torch = environment ? (environment.torch ?? (await node.ask(torchSchema.nullable(), "torch", { python: environment.python }, { ...options, timeoutMs: 200_000 }))) : answer.torch;
    return { state: "ok", detail: `Python ${answer.version} (${answer.path})${found.prepared ? "; the environment is ready" : ""}` };
  });
  await step("torch", async () => {
    if (!python) return { state: "skipped", detail: "Not looked at: there is no Python to use." };
    if (found.torch) return { state: "ok", detail: `PyTorch ${found.torch.version}${found.prepared ? "" : ", the node's own: it will be used"}` };
    // Which wheels pip takes is pip's configuration.
    const hint = found.gpus.length === 0 && node.hello.platform.startsWith("Linux") ? " On Linux pip's usual PyTorch brings CUDA with it (several GB): without a GPU, have pip's configuration name an index of CPU wheels first." : "";
    return { state: "warn", detail: "Not there yet, or not one that fits (2.9 or newer).", action: `It is installed when the node is prepared: before its first run, or now with Prepare.${hint}` };
  });
  await step("cuda", async () => describeCuda(found.gpus, found.torch));
  await step("disk", async () => {
    const { free, total } = await node.ask(diskSchema, "disk", {}, options);
    return describeDisk(free, total, neededBytes + (found.prepared ? 0 : installBytes(found.gpus, found.torch)));
  });
  await step("write", async () => {
    await node.call("check_write", {}, options);
    return { state: "ok", detail: node.hello.root };
  });
  await step("slurm", async () => {
    // A node without a working SLURM can be used all the same.
    const slurm = await node.ask(slurmSchema, "slurm", {}, { ...options, timeoutMs: 60_000 }).catch((error: unknown) => asNodeError(error));
    if (slurm instanceof NodeError) return { state: "warn", detail: slurm.message, action: slurm.action };
    if (!slurm) return { state: "skipped", detail: "Not there: runs start as processes." };
    return { state: "ok", detail: `SLURM ${slurm.version}, partitions: ${slurm.partitions.join(", ") || "none"}` };
  });
  return steps;
}

/** What an environment takes: PyTorch with CUDA, without it, or only the few packages beside the node's own. */
function installBytes(gpus: readonly Gpu[], torch: TorchFacts | null): number {
  if (torch) return 0.3 * gib;
  return gpus.length > 0 ? 9 * gib : 2 * gib;
}

export function describeGpus(gpus: readonly Gpu[]): Outcome {
  if (gpus.length === 0) return { state: "skipped", detail: "No NVIDIA GPU was found: runs use the processor." };
  const detail = gpus.map((gpu) => `${gpu.index}: ${gpu.name}, ${size(gpu.memoryFreeBytes)} of ${size(gpu.memoryBytes)} free`).join("; ");
  const taken = gpus.filter((gpu) => gpu.memoryFreeBytes < gpu.memoryBytes / 2).map(({ index }) => index);
  if (taken.length === 0) return { state: "ok", detail };
  return { state: "warn", detail, action: `Another program uses GPU ${taken.join(", ")}: wait for it, or choose other GPUs for the run.` };
}

export function describeCuda(gpus: readonly Gpu[], torch: TorchFacts | null): Outcome {
  if (gpus.length === 0) return { state: "skipped", detail: "No NVIDIA GPU." };
  if (torch === null) return { state: "skipped", detail: "Known when PyTorch is installed." };
  if (torch.available) return { state: "ok", detail: `CUDA ${torch.cuda ?? "unknown"}, ${torch.devices} GPU${torch.devices === 1 ? "" : "s"}` };
  if (torch.cuda === null) return { state: "fail", detail: `PyTorch ${torch.version} has no CUDA.`, action: "Give this node a Python whose PyTorch has CUDA, or let Prepare install one." };
  return { state: "fail", detail: `PyTorch ${torch.version} (CUDA ${torch.cuda}) cannot use the GPUs.`, action: "The driver may be older than PyTorch needs: update it, or give this node a Python with an older PyTorch (2.9 or newer)." };
}

export function describeDisk(free: number, total: number, needed: number): Outcome {
  const detail = `${size(free)} of ${size(total)} free`;
  if (free < needed) return { state: "fail", detail: `${detail}; ${size(needed)} are needed`, action: "Free some space on the node, or choose a folder on another disk." };
  if (free < lowDisk) return { state: "warn", detail, action: "Checkpoints take space: free some before a long run." };
  return { state: "ok", detail };
}
