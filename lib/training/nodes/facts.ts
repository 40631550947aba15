/** What a node's machine is and has now, as the pages show it. */
import { z } from "zod";
import { diskSchema, gpuListSchema } from "../agent/protocol";
import type { AgentConnection } from "../hosts/connection";
import type { CallOptions } from "../hosts/pending";
import type { Gpu, NodeFacts } from "../types";

export const slurmSchema = z.object({ version: z.string(), partitions: z.array(z.string()) }).nullable();

type Options = Pick<CallOptions, "signal">;

/** The node's GPUs, none where it has no NVIDIA driver. */
export async function gpusOf(node: AgentConnection, options?: Options): Promise<Gpu[]> {
  const { gpus } = await node.ask(gpuListSchema, "gpus", {}, options);
  return gpus.map((gpu) => ({ index: gpu.index, name: gpu.name, memoryBytes: gpu.memory_bytes, memoryFreeBytes: gpu.memory_free_bytes, utilisation: gpu.utilisation }));
}

/** All facts of a node. `torch`: the version in its environment, if it has one. What cannot be asked is null. */
export async function nodeFacts(node: AgentConnection, torch: string | null, options?: Options): Promise<NodeFacts> {
  const before = Date.now();
  const [clock, gpus, disk, slurm] = await Promise.all([
    node.ask(z.object({ time: z.number() }), "clock", {}, options).then((answer) => ({ ...answer, after: Date.now() })),
    gpusOf(node, options),
    node.ask(diskSchema, "disk", {}, options).catch(() => null),
    node.ask(slurmSchema, "slurm", {}, options).catch(() => null),
  ]);
  const { hello } = node;
  return {
    ...{ host: hello.hostname, root: hello.root, python: hello.python, cpus: hello.cpus, memoryBytes: hello.memory, diskFreeBytes: disk?.free ?? null },
    ...{ gpus, torch, slurm },
    // The node read its clock about half-way between.
    clockSkewSeconds: clock.time - (before + clock.after) / 2000,
  };
}
