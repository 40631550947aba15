/** Deleting runs: into the trash of their node, from which they can be taken back until it is emptied by hand. */
import { listNodes } from "@/lib/db/nodes";
import { z } from "zod";
import { emptyTrash, listTrash, moveToTrash, restoreFromTrash } from "../hosts/files";
import type { AgentConnection } from "../hosts/connection";
import { trashEntrySchema, type TrashEntry } from "../types";
import { writableNode, type Core } from "./core";
import { ServiceError } from "./errors";
import type { Launches } from "./launches";
import { readJson } from "./run-files";

const namedSchema = z.looseObject({ name: z.string() });
const entrySchema = trashEntrySchema.shape.entry;

export class Trash {
  /** changed: told when a run came or went. */
  constructor(
    private readonly core: Core,
    private readonly launches: Launches,
    private readonly changed: (node: string, id: string) => Promise<void>,
  ) {}

  /** Moves a run to the trash. Rejects with NodeError `running` while it goes on. */
  async remove(node: string, id: string): Promise<{ entry: string }> {
    writableNode(this.core, node);
    if (this.launches.progressOf(node, id)) throw new ServiceError(409, "running", "The run is being started.", "Stop it first.");
    const { entry } = await moveToTrash(await this.core.links.get(node), id);
    await this.changed(node, id);
    return { entry };
  }

  /** The trash of all nodes that can be reached, newest first. */
  async list(): Promise<TrashEntry[]> {
    const lists = await Promise.all(this.nodes().map((node) => this.listOf(node).catch(() => [])));
    return lists.flat().sort((a, b) => b.deleted - a.deleted);
  }

  async restore(node: string, entry: string): Promise<{ node: string; id: string }> {
    writableNode(this.core, node);
    const { id } = await restoreFromTrash(await this.core.links.get(node), entrySchema.parse(entry));
    await this.changed(node, id);
    return { node, id };
  }

  /** Deletes one entry, for good. */
  async purge(node: string, entry: string): Promise<{ bytes: number }> {
    writableNode(this.core, node);
    const { bytes } = await emptyTrash(await this.core.links.get(node), [entrySchema.parse(entry)]);
    return { bytes };
  }

  /** Deletes what the list shows, for good; nodes that cannot be reached keep theirs. */
  async empty(): Promise<{ entries: number; bytes: number }> {
    const all = await Promise.all(
      this.nodes().map(async (node) => {
        try {
          return await emptyTrash(await this.connectionOf(node));
        } catch {
          return { entries: 0, bytes: 0 };
        }
      }),
    );
    return { entries: all.reduce((sum, { entries }) => sum + entries, 0), bytes: all.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** This machine, and the nodes that are connected: a list of the trash makes no connection. */
  private nodes(): string[] {
    return listNodes(this.core.db)
      .filter(({ kind, id }) => kind === "local" || (kind === "ssh" && this.core.links.stateOf(id).state === "connected"))
      .map(({ id }) => id);
  }

  private connectionOf(node: string): Promise<AgentConnection> {
    return this.core.links.get(node);
  }

  private async listOf(node: string): Promise<TrashEntry[]> {
    const connection = await this.connectionOf(node);
    const { entries } = await listTrash(connection);
    return Promise.all(
      entries.map(async ({ entry, id, deleted, bytes }) => {
        const config = await readJson(connection, `trash/${entry}/config.json`, namedSchema).catch(() => null);
        return { node, entry, id, name: config?.name ?? id, deleted, bytes };
      }),
    );
  }
}
