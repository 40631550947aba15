/** Makes a node ready to run: the trainer's copy and the environment, each by the hash of its content. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { statPath } from "../hosts/files";
import type { AgentConnection } from "../hosts/connection";
import { packTrainer, requirementText } from "./trainer-files";
import { sendNew, type Progress } from "./upload";

/** Absolute paths on the node, as a launch takes them, and what there is in words. */
export type PreparedNode = { python: string; trainer: string; torch: TorchFacts | null; detail: string };

export type PrepareOptions = { project: string; signal?: AbortSignal; onProgress?: (progress: Progress) => void };

export const torchSchema = z.object({ version: z.string(), cuda: z.string().nullable(), available: z.boolean(), devices: z.number().int() });
export type TorchFacts = z.infer<typeof torchSchema>;

const environmentSchema = z.object({ python: z.string(), torch: torchSchema.nullable(), own_torch: z.boolean(), base: z.string().nullable() });
const progressSchema = z.object({ phase: z.string(), message: z.string(), done: z.number(), total: z.number() });

async function environmentParams(node: AgentConnection, project: string): Promise<Record<string, unknown>> {
  const requirements = await requirementText(project, "requirements-run.txt");
  const params = { requirements, ...(node.address.python === null ? {} : { python: node.address.python }) };
  if (node.address.kind !== "local") return params;
  // `npm test` fills the home folder's environment with all of this and more, and stamps it (scripts/lib/python.mjs).
  const stamped = createHash("sha256").update(await requirementText(project, "requirements.txt")).digest("hex");
  return { ...params, reuse: { folder: "venv", stamp: ".installed-requirements.txt", sha256: stamped } };
}

/** The environment that runs would use on a node, without making one; null if there is none yet. */
export async function findEnvironment(node: AgentConnection, { project, signal }: PrepareOptions): Promise<z.infer<typeof environmentSchema> | null> {
  return node.ask(environmentSchema.nullable(), "environment", await environmentParams(node, project), signal ? { signal } : {});
}

/**
 * Copies the trainer to the node and makes its environment, each only if it is not there.
 * Cancelling ends pip and leaves no half environment. Rejects with NodeError.
 */
export async function prepareNode(node: AgentConnection, { project, signal, onProgress }: PrepareOptions): Promise<PreparedNode> {
  const trainer = await sendTrainer(node, { project, ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) });
  const environment = await node.ask(environmentSchema, "prepare", await environmentParams(node, project), {
    ...(signal ? { signal } : {}),
    onEvent: (event) => onProgress?.(progressSchema.parse(event)),
    // Downloads and a first import may be silent for long; a lost connection is noticed by its heartbeat.
    timeoutMs: 0,
  });
  return { python: environment.python, trainer, torch: environment.torch, detail: describe(environment) };
}

/** Copies the trainer to `trainer/<hash>` on the node. Gives the absolute path there. */
export async function sendTrainer(node: AgentConnection, { project, signal, onProgress }: PrepareOptions): Promise<string> {
  const { hash, files, contents } = await packTrainer(project);
  const folder = `trainer/${hash}`;
  if ((await statPath(node, folder, signal ? { signal } : {}))?.kind !== "folder") {
    const total = files.reduce((sum, { size }) => sum + size, 0);
    onProgress?.({ phase: "trainer", message: "Copying the trainer", done: 0, total });
    await sendNew(node, folder, files, contents, signal);
    onProgress?.({ phase: "trainer", message: "Copying the trainer", done: total, total });
  }
  return `${node.hello.root}/${folder}`;
}

function describe({ torch, own_torch: own }: z.infer<typeof environmentSchema>): string {
  if (torch === null) return "The environment is ready.";
  const where = own ? "the node's own" : "of this environment";
  const gpu = torch.available ? `CUDA ${torch.cuda ?? ""}, ${torch.devices} GPU${torch.devices === 1 ? "" : "s"}` : "on the processor";
  return `PyTorch ${torch.version}, ${where}, ${gpu}`;
}
