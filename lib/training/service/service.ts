/** Puts the parts of the training service together. */
import type { Db } from "@/lib/db/connection";
import { putSetting } from "@/lib/db/settings";
import type { Intervals } from "../follow/follower";
import type { LinkOptions } from "../hosts/link";
import { OpenedRuns } from "../runs/opened-runs";
import type { RunRecord } from "../runs/record";
import type { RunState } from "../types";
import { Configs } from "./configs";
import { placesOf, type Core } from "./core";
import { EventHub } from "./events";
import { Exports } from "./exports";
import { Finished } from "./finished";
import { Follow } from "./follow";
import { renewManifests } from "./install-export";
import { Launches } from "./launches";
import { Links } from "./links";
import { Nodes } from "./nodes";
import { rootKey, Runs } from "./runs";
import { Sources } from "./sources";
import { Trash } from "./trash";

export type ServiceParts = {
  home: string;
  /** The project's root: the trainer, what ships, the shipped histories. */
  project: string;
  db: Db;
  links?: LinkOptions;
  intervals?: Partial<Intervals>;
};

const refreshMs = 30_000;

export class TrainingService {
  readonly core: Core;
  readonly nodes: Nodes;
  readonly follow: Follow;
  readonly runs: Runs;
  readonly launches: Launches;
  readonly exports: Exports;
  readonly trash: Trash;
  readonly configs: Configs;
  private readonly finished: Finished;
  private readonly opened = new OpenedRuns();
  /** What is being done about news of runs. */
  private readonly working = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;

  constructor({ home, project, db, links, intervals }: ServiceParts) {
    const hub = new EventHub();
    this.core = {
      ...{ home, project, db, hub },
      links: new Links((node) => this.nodes.addressOf(node), (node) => this.linkChanged(node), links),
    };
    const sources = new Sources(this.core);
    const changed = (node: string, id: string) => this.tell(node, id);
    this.follow = new Follow(this.core, sources, this.opened, { record: (record, before) => this.work(this.recorded(record, before)), reachable: (node) => this.work(this.reachable(node)) }, intervals);
    this.nodes = new Nodes(this.core, (node) => this.follow.activeOf(node), (node) => void this.follow.renew(node), (node) => void this.follow.drop(node).then(() => sources.remove(node)));
    this.launches = new Launches(this.core, this.nodes, changed);
    this.exports = new Exports(this.core, this.nodes, changed);
    this.trash = new Trash(this.core, this.launches, changed);
    this.configs = new Configs(this.core, this.nodes);
    this.runs = new Runs(this.core, sources, this.opened, this);
    this.finished = new Finished(this.core, this.nodes, this.runs, this.exports);
  }

  /** Begins to follow runs. */
  start(): void {
    this.follow.start();
    // Free memory and disk, while somebody may be looking.
    this.timer = setInterval(() => void (this.core.hub.size > 0 && this.nodes.refresh()), refreshMs);
    this.timer.unref();
    // What the project ships may be newer than when the home folder's manifests were written.
    renewManifests(placesOf(this.core)).catch((error: unknown) => console.error(error));
  }

  /** Ends all that this server does; runs go on. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.launches.close();
    this.nodes.close();
    await this.follow.close();
    this.core.links.closeAll();
    // The database may be closed after this.
    while (this.working.size > 0) await Promise.all(this.working);
  }

  /** Keeps work that nobody waits for, and that does not reject, until it is done. */
  private work(doing: Promise<void>): void {
    this.working.add(doing);
    void doing.then(() => this.working.delete(doing));
  }

  private linkChanged(node: string): void {
    const root = this.core.links.of(node).connection?.hello.root;
    if (root !== undefined) putSetting(this.core.db, rootKey(node), root);
    this.nodes.linkChanged(node);
  }

  private async recorded(record: RunRecord, before: RunState | undefined): Promise<void> {
    try {
      this.core.hub.publish({ type: "run", run: await this.runs.summaryOf(record) });
      if (before !== record.state) this.nodes.changed(record.node);
      if (record.state === "finished" && before !== undefined && before !== "finished") await this.finished.take(record);
    } catch (error) {
      // The node may have been removed meanwhile.
      console.error(error);
    }
  }

  /** Looks at a run's node, then tells all tabs of the run. */
  private async tell(node: string, id: string): Promise<void> {
    try {
      await this.follow.look(node);
      this.core.hub.publish({ type: "run", run: await this.runs.summary(node, id) });
    } catch {
      // It was deleted, or its node is away: other events tell of that.
    }
  }

  private async reachable(node: string): Promise<void> {
    try {
      this.nodes.changed(node);
      for (const run of await this.runs.list({ node })) this.core.hub.publish({ type: "run", run });
    } catch {
      // The node was removed.
    }
  }
}
