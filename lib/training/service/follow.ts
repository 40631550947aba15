/** The followers of all nodes, and the tabs that listen to what they tell. */
import { listNodes } from "@/lib/db/nodes";
import type { NodeRow } from "@/lib/db/rows";
import { Follower, type Intervals } from "../follow/follower";
import type { FollowEvent } from "../follow/events";
import type { OpenedRuns } from "../runs/opened-runs";
import type { RunRecord } from "../runs/record";
import type { RunState } from "../types";
import { nodeRow, type Core } from "./core";
import type { Interest, NumberedEvent } from "./events";
import type { Sources } from "./sources";

type Subscription = { interest: Interest; ends: (() => void)[] };
export type FollowListener = {
  /** A run is another than before. `before`: its state when it was last seen, undefined for one that is new. */
  record: (record: RunRecord, before: RunState | undefined) => void;
  /** A node answered again, or does no more. */
  reachable: (node: string) => void;
};

export class Follow {
  private readonly followers = new Map<string, { follower: Follower; first: Promise<void> }>();
  private readonly states = new Map<string, RunState>();
  private readonly subscriptions = new Set<Subscription>();
  private readonly away = new Set<string>();

  constructor(
    private readonly core: Core,
    private readonly sources: Sources,
    private readonly opened: OpenedRuns,
    private readonly listener: FollowListener,
    private readonly intervals?: Partial<Intervals>,
  ) {}

  /** Begins to follow all nodes that are known. */
  start(): void {
    for (const node of listNodes(this.core.db)) this.of(node);
  }

  /** Follows a node anew, as after it was added or its address changed. */
  async renew(node: string): Promise<void> {
    await this.drop(node);
    this.of(nodeRow(this.core, node));
  }

  async drop(node: string): Promise<void> {
    const known = this.followers.get(node);
    this.followers.delete(node);
    this.away.delete(node);
    this.sources.drop(node);
    await known?.follower.stop();
  }

  async close(): Promise<void> {
    await Promise.all([...this.followers.keys()].map((node) => this.drop(node)));
  }

  /** Runs as they were last seen, of one node or of all; what lies on this machine is looked at first. */
  async records(node?: string): Promise<RunRecord[]> {
    const rows = node === undefined ? listNodes(this.core.db) : [nodeRow(this.core, node)];
    const lists = await Promise.all(
      rows.map(async (row) => {
        const { follower, first } = this.of(row);
        // A node that is away must not hold up the list.
        if (row.kind !== "ssh") await first;
        return follower.records();
      }),
    );
    return lists.flat();
  }

  /** One run, looked for on its node if it is not known yet; null if it is not there. */
  async record(node: string, id: string): Promise<RunRecord | null> {
    const row = nodeRow(this.core, node);
    const { follower, first } = this.of(row);
    // What the index has of a node that is away must not wait for it.
    if (row.kind !== "ssh" || !follower.record(id)) await first;
    const known = follower.record(id);
    if (known) return known;
    await follower.poll();
    return follower.record(id);
  }

  /** Looks at a node now. */
  async look(node: string): Promise<void> {
    await this.of(nodeRow(this.core, node)).follower.poll();
  }

  isStale(node: string): boolean {
    return this.away.has(node);
  }

  /** How many runs of a node go on. */
  activeOf(node: string): number {
    const records = this.followers.get(node)?.follower.records() ?? [];
    return records.filter(({ state }) => state === "running" || state === "queued").length;
  }

  /** Events for one tab; while it listens, what it shows is polled more often. Returns the way to end it. */
  subscribe(interest: Interest, lastId: string | null, tell: (event: NumberedEvent) => void): () => void {
    const rows = interest ? [nodeRow(this.core, interest.node)] : listNodes(this.core.db);
    const subscription: Subscription = { interest, ends: [] };
    this.subscriptions.add(subscription);
    for (const row of rows) subscription.ends.push(this.of(row).follower.watch(interest?.run ?? null));
    subscription.ends.push(this.core.hub.subscribe(interest, lastId, tell));
    return () => {
      this.subscriptions.delete(subscription);
      for (const end of subscription.ends.splice(0)) end();
    };
  }

  private of(row: NodeRow): { follower: Follower; first: Promise<void> } {
    const known = this.followers.get(row.id);
    if (known) return known;
    const { source } = this.sources.of(row);
    const follower = new Follower({ source, opened: this.opened, db: this.core.db, tell: (event) => this.take(event), ...(this.intervals && { intervals: this.intervals }) });
    for (const { node, id, state } of follower.records()) this.states.set(`${node}/${id}`, state);
    const made = { follower, first: follower.poll() };
    this.followers.set(row.id, made);
    follower.start();
    for (const { interest, ends } of this.subscriptions) {
      if (!interest || interest.node === row.id) ends.push(follower.watch(interest?.run ?? null));
    }
    return made;
  }

  private take(event: FollowEvent): void {
    if (event.type === "record") {
      const key = `${event.record.node}/${event.record.id}`;
      const before = this.states.get(key);
      this.states.set(key, event.record.state);
      this.listener.record(event.record, before);
    } else if (event.type === "seen") {
      const wasAway = this.away.has(event.node);
      if (event.error) this.away.add(event.node);
      else this.away.delete(event.node);
      if (wasAway !== (event.error !== null)) this.listener.reachable(event.node);
    } else {
      if (event.type === "run-removed") this.states.delete(`${event.node}/${event.id}`);
      this.core.hub.publish(event);
    }
  }
}
