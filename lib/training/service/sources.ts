/** Where the runs of each node are read: this machine's disk, or a node's agent through a copy that is kept here. */
import { rm } from "node:fs/promises";
import path from "node:path";
import type { NodeRow } from "@/lib/db/rows";
import { listRuns } from "../hosts/files";
import { LocalRunFiles, LocalRunSource } from "../runs/local-files";
import { localLiveness } from "../runs/liveness";
import { MirroredRunFiles } from "../runs/mirror";
import { RemoteRunFiles, RemoteRunSource } from "../runs/remote-files";
import type { RunFiles, RunSource } from "../runs/files";
import type { Core } from "./core";

/** A node's runs, and the way to forget the copy of one. */
export type NodeRuns = { source: RunSource; files: RunFiles; forget: (run: string) => Promise<void> };

export class Sources {
  private readonly made = new Map<string, NodeRuns>();

  constructor(private readonly core: Core) {}

  of(node: Pick<NodeRow, "id" | "kind">): NodeRuns {
    const known = this.made.get(node.id);
    if (known) return known;
    const made = this.make(node);
    this.made.set(node.id, made);
    return made;
  }

  /** After a node's address changed: its runs may be others. */
  drop(node: string): void {
    this.made.delete(node);
  }

  /** Forgets a node that is gone, with the copy of its runs. */
  async remove(node: string): Promise<void> {
    this.drop(node);
    await rm(this.mirrorOf(node), { recursive: true, force: true });
  }

  private mirrorOf(node: string): string {
    return path.join(/* turbopackIgnore: true */ this.core.home, "mirror", node);
  }

  private make({ id, kind }: Pick<NodeRow, "id" | "kind">): NodeRuns {
    const nothing = () => Promise.resolve();
    if (kind === "shipped") {
      const source = new LocalRunSource(id, path.join(/* turbopackIgnore: true */ this.core.project, "results", "runs"), null);
      return { source, files: source.files, forget: nothing };
    }
    if (kind === "local") {
      const folder = path.join(/* turbopackIgnore: true */ this.core.home, "runs");
      // Only the agent asks SLURM; processes are looked at without it.
      const queue = async (run: string) => (await listRuns(await this.core.links.get(id), [run])).runs[0]?.alive ?? null;
      const source = new LocalRunSource(id, folder, localLiveness(new LocalRunFiles(folder), queue));
      return { source, files: source.files, forget: nothing };
    }
    const connected = () => this.core.links.get(id);
    // Who reads a run of a node that is away gets the copy at once; the follower alone knocks again.
    const mirror = new MirroredRunFiles(new RemoteRunFiles(() => this.core.links.getUnlessAway(id)), this.mirrorOf(id));
    const source = new RemoteRunSource(id, mirror, connected, (runs) => mirror.listed(runs));
    return { source, files: mirror, forget: (run) => mirror.forget(run) };
  }
}
