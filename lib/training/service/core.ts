/** What the parts of the service share. */
import path from "node:path";
import type { Db } from "@/lib/db/connection";
import { getNode } from "@/lib/db/nodes";
import type { NodeRow } from "@/lib/db/rows";
import type { Manifest } from "@/lib/weights/manifest";
import { ServiceError } from "./errors";
import type { EventHub } from "./events";
import { readManifest, type BundlePlaces } from "./install-export";
import type { Links } from "./links";

export type Core = {
  readonly home: string;
  readonly project: string;
  readonly db: Db;
  readonly hub: EventHub;
  readonly links: Links;
};

export const now = (): number => Date.now() / 1000;

export function placesOf({ home, project }: Pick<Core, "home" | "project">): BundlePlaces {
  return { models: path.join(/* turbopackIgnore: true */ home, "models"), shipped: path.join(/* turbopackIgnore: true */ project, "public", "models") };
}

/** A node's row. Throws ServiceError `node-unknown`. */
export function nodeRow({ db }: Pick<Core, "db">, id: string): NodeRow {
  const row = getNode(db, id);
  if (!row) throw new ServiceError(404, "node-unknown", `There is no node "${id}".`, "Choose one of the listed nodes, or add it.");
  return row;
}

/** As {@link nodeRow}, for what changes something there. Throws ServiceError `read-only` for the shipped histories. */
export function writableNode(core: Pick<Core, "db">, id: string): NodeRow {
  const row = nodeRow(core, id);
  if (row.kind === "shipped") throw new ServiceError(409, "read-only", "The runs that ship with the project cannot be changed.", "Duplicate one to start from its config.");
  return row;
}

/** The manifest of a family as the pages see it, or null. */
export async function manifestOf(core: Pick<Core, "home" | "project">, family: string): Promise<Manifest | null> {
  const { models, shipped } = placesOf(core);
  for (const folder of [models, shipped]) {
    const manifest = await readManifest(path.join(/* turbopackIgnore: true */ folder, family)).catch(() => null);
    if (manifest) return manifest;
  }
  return null;
}
