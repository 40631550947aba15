/** What is done on a node before a run: its check, its environment, the family and the data that the run needs. */
import { stat } from "node:fs/promises";
import path from "node:path";
import type { AgentConnection } from "../hosts/connection";
import { statPath } from "../hosts/files";
import { checkNode } from "../nodes/check";
import { nodeFacts } from "../nodes/facts";
import { findEnvironment, prepareNode, type PreparedNode } from "../nodes/prepare";
import { sendBundle, sendFolder, sendMissing } from "../nodes/upload";
import type { EnvironmentState, JobStep, LaunchProgress, NodeCheckStep, NodeFacts } from "../types";
import { joinFetch } from "@/lib/home/fetch-job";
import { homeFolder } from "@/lib/home/paths";
import { pathOnNode } from "./config-folders";
import { placesOf, type Core } from "./core";
import { ServiceError } from "./errors";
import { readManifest } from "./install-export";
import { allFilesOf } from "@/lib/weights/manifest";

/** Absolute paths on the node, as a launch takes them. */
export type Prepared = PreparedNode & { shipped: string };

type Tell = (progress: LaunchProgress) => void;

/** Where the families that ship are on a node. */
export function shippedOn(core: Pick<Core, "home" | "project">, connection: AgentConnection): string {
  return connection.address.kind === "local" ? placesOf(core).shipped : `${connection.hello.root}/shipped`;
}

export async function checkOn(core: Core, node: string, signal: AbortSignal, tell: (step: NodeCheckStep) => void): Promise<NodeCheckStep[]> {
  return checkNode(() => core.links.get(node, signal), { project: core.project, signal, onStep: tell });
}

export async function prepareOn(core: Core, connection: AgentConnection, signal: AbortSignal, tell: Tell): Promise<Prepared> {
  const prepared = await prepareNode(connection, { project: core.project, signal, onProgress: tell });
  return { ...prepared, shipped: shippedOn(core, connection) };
}

/** Whether the node has its environment. */
export async function environmentOn(core: Core, connection: AgentConnection): Promise<EnvironmentState> {
  const found = await findEnvironment(connection, { project: core.project });
  if (!found) return { state: "missing", detail: "It is made before the first run, or now with Prepare." };
  return { state: "ready", detail: found.torch ? `PyTorch ${found.torch.version}` : "Ready." };
}

/** What the node is and has now. */
export async function factsOf(connection: AgentConnection, prepared: Prepared | null): Promise<NodeFacts> {
  return nodeFacts(connection, prepared?.torch?.version ?? null);
}

/** Brings a family to the node: its base is fetched to this machine first, if it is not here. A family that is to be made is no family yet. */
export async function provideFamily(core: Core, connection: AgentConnection, family: string, signal: AbortSignal, tell: Tell): Promise<void> {
  const { models, shipped } = placesOf(core);
  const homePart = path.join(/* turbopackIgnore: true */ models, family);
  const shippedPart = path.join(/* turbopackIgnore: true */ shipped, family);
  const [ownManifest, shippedManifest] = await Promise.all([readManifest(homePart), readManifest(shippedPart)]);
  const manifest = ownManifest ?? shippedManifest;
  if (!manifest) return;
  const lacking = await missingFiles(manifest.files, [homePart, shippedPart]);
  const base = new Set(Object.values(manifest.base.tensors).map(({ file }) => file));
  if (lacking.some((file) => base.has(file))) {
    if (manifest.base.origin.kind !== "gguf-package") throw new ServiceError(409, "family-incomplete", `Files of ${manifest.title} are missing: ${lacking[0]}.`, "Import the family again.");
    await fetchBase(core, family, signal, tell);
  }
  if (connection.address.kind === "local") return;
  const options = { signal, onProgress: tell };
  await sendBundle(connection, shippedPart, `shipped/${family}`, manifest.title, options);
  if (ownManifest) await sendBundle(connection, homePart, `models/${family}`, manifest.title, options);
  else {
    const files = Object.entries(allFilesOf(manifest)).map(([name, { bytes, sha256 }]) => ({ name, size: bytes, sha256 }));
    const here = await Promise.all(files.map(async (file) => ((await sizeOf(path.join(/* turbopackIgnore: true */ homePart, file.name))) === file.size ? [file] : [])));
    await sendMissing(connection, homePart, `models/${family}`, here.flat(), manifest.title, options);
  }
}

/** Sends the data that the node lacks, no step makes, and this machine has under the same name. Throws ServiceError `data-missing`. */
export async function provideData(core: Core, connection: AgentConnection, paths: readonly string[], steps: readonly JobStep[], signal: AbortSignal, tell: Tell): Promise<void> {
  const made = steps.filter(({ name }) => name !== "train" && name !== "evaluate" && name !== "export").flatMap(({ argv }) => argv);
  for (const data of paths) {
    const there = pathOnNode(data, { root: "{root}", shipped: "{shipped}" });
    if (made.some((word) => word === there || there.startsWith(`${word}/`) || word.startsWith(`${there}/`))) continue;
    // Data elsewhere on the node are the user's own: the trainer says if they are not there.
    if (!there.startsWith("{root}/")) continue;
    const relative = there.slice("{root}/".length);
    if (await statPath(connection, relative, { signal })) continue;
    const here = path.join(/* turbopackIgnore: true */ core.home, relative);
    if (connection.address.kind === "local" || (await sizeOf(here)) === null) {
      throw new ServiceError(422, "data-missing", `The data ${data} are not there.`, "Start from a preset that makes its data, make them (docs/training.md), or name another folder.");
    }
    await sendFolder(connection, here, relative, data, { signal, onProgress: tell });
  }
}

async function missingFiles(files: Record<string, { bytes: number }>, folders: string[]): Promise<string[]> {
  const names = await Promise.all(
    Object.entries(files).map(async ([name, { bytes }]) => {
      const sizes = await Promise.all(folders.map((folder) => sizeOf(path.join(/* turbopackIgnore: true */ folder, name))));
      return sizes.includes(bytes) ? [] : [name];
    }),
  );
  return names.flat();
}

async function sizeOf(file: string): Promise<number | null> {
  const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
  return info ? info.size : null;
}

/** Fetches what a family lacks, or joins a fetch that goes on. Cancelling leaves it to the others who wait. */
function fetchBase(core: Core, family: string, signal: AbortSignal, tell: Tell): Promise<void> {
  if (path.resolve(/* turbopackIgnore: true */ core.home) !== path.resolve(/* turbopackIgnore: true */ homeFolder())) {
    return Promise.reject(new ServiceError(409, "family-incomplete", `The base of ${family} is not in this home folder.`, "Fetch it on the models page first."));
  }
  return new Promise((resolve, reject) => {
    const state = { leave: () => {} };
    const abort = () => {
      state.leave();
      reject(new ServiceError(409, "cancelled", "It was cancelled.", "Start it again when you like."));
    };
    signal.addEventListener("abort", abort, { once: true });
    const end = (settle: () => void) => {
      signal.removeEventListener("abort", abort);
      queueMicrotask(() => state.leave());
      settle();
    };
    state.leave = joinFetch(family, (event) => {
      if (event.type === "progress") tell({ phase: "fetch", message: event.message, done: event.done, total: event.total });
      else if (event.type === "done") end(resolve);
      else end(() => reject(new ServiceError(502, event.code, event.message, event.action)));
    });
  });
}
