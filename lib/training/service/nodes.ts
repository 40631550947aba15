/** The nodes as the pages see them: their rows, connections, facts, checks and environments. */
import { z } from "zod";
import { deleteNode, listNodes, markSeen, putNode } from "@/lib/db/nodes";
import type { NodeRow } from "@/lib/db/rows";
import { addressOf, type NodeAddressInput } from "../hosts/address";
import { nodeCheckStepSchema, type AddNode, type EnvironmentState, type NodeFacts, type NodeStreamEvent, type TrainingNode, type UpdateNode } from "../types";
import { nodeRow, now, writableNode, type Core } from "./core";
import { errorBody, ServiceError } from "./errors";
import { newNodeId } from "./ids";
import { checkOn, environmentOn, factsOf, prepareOn, type Prepared } from "./node-work";
import { SharedWork } from "./shared-work";

type Listen = (listener: (event: NodeStreamEvent) => void) => () => void;

const lastCheckSchema = z.object({ time: z.number(), steps: z.array(nodeCheckStepSchema) });
const unknownEnvironment: EnvironmentState = { state: "unknown", detail: "Not looked at yet." };

export class Nodes {
  private readonly facts = new Map<string, NodeFacts>();
  private readonly environments = new Map<string, EnvironmentState>();
  private readonly checks = new SharedWork<NodeStreamEvent>((error) => ({ type: "error", ...error }), "all");
  private readonly preparations = new SharedWork<NodeStreamEvent>((error) => ({ type: "error", ...error }));

  /**
   * activeOf: how many runs of a node go on.
   * moved: told when a node is new, or has another address; removed: when it is gone.
   */
  constructor(
    private readonly core: Core,
    private readonly activeOf: (node: string) => number,
    private readonly moved: (node: string) => void,
    private readonly removed: (node: string) => void,
  ) {}

  list(): TrainingNode[] {
    return listNodes(this.core.db).map((row) => this.describe(row));
  }

  get(id: string): TrainingNode {
    return this.describe(nodeRow(this.core, id));
  }

  /** The address to connect to. Throws ServiceError. */
  addressOf(id: string): NodeAddressInput {
    const row = writableNode(this.core, id);
    return { ...row, root: row.kind === "local" ? this.core.home : row.root } as NodeAddressInput;
  }

  add(wanted: AddNode): TrainingNode {
    const rows = listNodes(this.core.db);
    const same = rows.find((row) => row.kind === "ssh" && row.destination === wanted.destination && (row.port ?? null) === (wanted.port ?? null) && row.root === (wanted.root ?? null));
    if (same) throw new ServiceError(409, "node-exists", `The node "${same.name}" is this machine already.`, "Give another folder, or change that node.");
    const row: NodeRow = {
      ...{ id: newNodeId(wanted.name, new Set(rows.map(({ id }) => id))), name: wanted.name, kind: "ssh", destination: wanted.destination },
      ...{ port: wanted.port ?? null, identityFile: wanted.identityFile ?? null, root: wanted.root ?? null, python: wanted.python ?? null },
      ...{ created: now(), lastSeen: null, lastCheck: null },
    };
    // What ssh would be given is checked here, where the form can still say so.
    addressOf(row as NodeAddressInput);
    putNode(this.core.db, row);
    this.moved(row.id);
    return this.changed(row.id);
  }

  update(id: string, change: UpdateNode): TrainingNode {
    const row = writableNode(this.core, id);
    if (row.kind === "local" && (change.destination ?? change.port ?? change.identityFile ?? change.root)) {
      throw new ServiceError(422, "node-local", "Of this machine only the name and the Python can be changed.", "Add another node for another machine or folder.");
    }
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const next: NodeRow = { ...row, ...given };
    addressOf(next as NodeAddressInput);
    putNode(this.core.db, next);
    if (["destination", "port", "identityFile", "root", "python"].some((field) => Object.hasOwn(given, field))) {
      this.core.links.drop(id);
      this.facts.delete(id);
      this.environments.delete(id);
      this.moved(id);
    }
    return this.changed(id);
  }

  remove(id: string): void {
    const row = writableNode(this.core, id);
    if (row.kind === "local") throw new ServiceError(409, "node-local", "This machine cannot be removed.", "Only nodes that were added can.");
    this.preparations.cancel(id);
    this.removed(id);
    this.core.links.drop(id);
    deleteNode(this.core.db, id);
    this.facts.delete(id);
    this.environments.delete(id);
    this.core.hub.publish({ type: "node-removed", id });
  }

  /** Checks the node, or joins the check that goes on. */
  check(id: string): Listen {
    writableNode(this.core, id);
    return this.checks.join(id, async (tell, signal) => {
      const steps = await checkOn(this.core, id, signal, (step) => tell({ type: "check", step }));
      putNode(this.core.db, { ...nodeRow(this.core, id), lastCheck: { time: now(), steps } });
      await this.learn(id, true).catch(() => undefined);
      const failed = steps.filter(({ state }) => state === "fail").length;
      tell({ type: "done", message: failed === 0 ? "The node can be used." : `${failed} of ${steps.length} checks failed.`, node: this.changed(id) });
    });
  }

  /** Makes the node's environment, or joins the making of it. */
  prepare(id: string): Listen {
    writableNode(this.core, id);
    return this.preparations.join(id, async (tell, signal) => {
      this.setEnvironment(id, { state: "preparing", detail: "The environment is being made." });
      try {
        const connection = await this.core.links.get(id);
        const prepared = await prepareOn(this.core, connection, signal, (progress) => tell({ type: "progress", ...progress }));
        this.setEnvironment(id, { state: "ready", detail: prepared.detail });
        this.prepared.set(id, prepared);
      } catch (error) {
        const { code, message } = errorBody(error);
        this.setEnvironment(id, code === "cancelled" ? { state: "missing", detail: "The preparation was cancelled." } : { state: "failed", detail: message });
        throw error;
      }
      await this.learn(id, true).catch(() => undefined);
      tell({ type: "done", message: "The environment is ready.", node: this.changed(id) });
    });
  }

  private readonly prepared = new Map<string, Prepared>();

  /** The node's environment, made or looked at first. Rejects with NodeError; `cancelled` if anyone cancels it. */
  ready(id: string, onProgress: (progress: { phase: string; message: string; done: number; total: number }) => void, signal: AbortSignal): Promise<Prepared> {
    const began = !this.preparations.has(id);
    return new Promise((resolve, reject) => {
      const abort = () => {
        leave();
        // What was begun for this run alone ends with it.
        if (began && this.preparations.waiting(id) === 0) this.preparations.cancel(id);
        reject(new ServiceError(409, "cancelled", "It was cancelled.", "Start it again when you like."));
      };
      const leave = this.prepare(id)((event) => {
        if (event.type === "progress") onProgress(event);
        if (event.type !== "done" && event.type !== "error") return;
        signal.removeEventListener("abort", abort);
        queueMicrotask(() => leave());
        const prepared = this.prepared.get(id);
        if (event.type === "done" && prepared) resolve(prepared);
        else if (event.type === "error") reject(new ServiceError(502, event.code, event.message, event.action));
      });
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** What is known of the node; it is asked if nothing is. Null if it cannot be. */
  async factsOf(id: string): Promise<NodeFacts | null> {
    if (nodeRow(this.core, id).kind !== "shipped") await this.learn(id, false).catch(() => undefined);
    return this.facts.get(id) ?? null;
  }

  cancelPrepare(id: string): boolean {
    nodeRow(this.core, id);
    return this.preparations.cancel(id);
  }

  /** Tells all tabs of a node; gives it. */
  changed(id: string): TrainingNode {
    const node = this.get(id);
    this.core.hub.publish({ type: "node", node });
    return node;
  }

  /** Notes that a connection came or went; a new one is asked for its facts. */
  linkChanged(id: string): void {
    if (this.core.links.stateOf(id).state === "connected") {
      markSeen(this.core.db, id, now());
      // It may be removed meanwhile.
      void this.learn(id, false)
        .then(() => this.changed(id))
        .catch(() => undefined);
    }
    this.changed(id);
  }

  close(): void {
    this.checks.cancelAll();
    this.preparations.cancelAll();
  }

  /** Asks the connected nodes again what they have now, such as free memory. */
  async refresh(): Promise<void> {
    const connected = listNodes(this.core.db).filter(({ id }) => this.core.links.stateOf(id).state === "connected");
    await Promise.allSettled(connected.map(({ id }) => this.learn(id, true).then(() => this.changed(id))));
  }

  private async learn(id: string, again: boolean): Promise<void> {
    if (!again && this.facts.has(id)) return;
    const connection = await this.core.links.get(id);
    if (!this.environments.has(id)) {
      const found = await environmentOn(this.core, connection);
      if (!this.environments.has(id)) this.environments.set(id, found);
    }
    this.facts.set(id, await factsOf(connection, this.prepared.get(id) ?? null));
  }

  private setEnvironment(id: string, state: EnvironmentState): void {
    this.environments.set(id, state);
    this.changed(id);
  }

  private describe(row: NodeRow): TrainingNode {
    const { state, error } = this.core.links.stateOf(row.id);
    const check = lastCheckSchema.safeParse(row.lastCheck).data;
    return {
      ...{ id: row.id, name: row.name, kind: row.kind, destination: row.destination, port: row.port, identityFile: row.identityFile, root: row.root, python: row.python },
      readOnly: row.kind === "shipped",
      state,
      error,
      facts: this.facts.get(row.id) ?? null,
      environment: this.environments.get(row.id) ?? unknownEnvironment,
      checks: check?.steps ?? [],
      checkedAt: check?.time ?? null,
      active: this.activeOf(row.id),
    };
  }
}
