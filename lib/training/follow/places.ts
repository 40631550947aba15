/** Where the runs of each kind of node lie. */
import path from "node:path";
import { LocalRunSource } from "../runs/local-files";
import { localLiveness } from "../runs/liveness";
import { MirroredRunFiles } from "../runs/mirror";
import { RemoteRunFiles, RemoteRunSource, type Connected } from "../runs/remote-files";
import { listRuns } from "../hosts/files";

/** The runs of this machine, read from its disk. `connected`: the agent of this machine, asked only for jobs of SLURM. */
export function localSource(home: string, connected?: Connected): LocalRunSource {
  const ask = connected && (async (run: string) => (await listRuns(await connected(), [run])).runs[0]?.alive ?? null);
  // Without an agent, as before the environment is prepared, a job's state is not known.
  const queue = ask && ((run: string) => ask(run).catch(() => "unknown" as const));
  const source: LocalRunSource = new LocalRunSource("local", path.join(/* turbopackIgnore: true */ home, "runs"), (run) => localLiveness(source.files, queue)(run));
  return source;
}

/** The histories that ship with the project. */
export function shippedSource(project: string): LocalRunSource {
  return new LocalRunSource("shipped", path.join(/* turbopackIgnore: true */ project, "results", "runs"), null);
}

/** Where the copies of a node's runs lie. */
export function mirrorFolder(home: string, node: string): string {
  return path.join(/* turbopackIgnore: true */ home, "mirror", node);
}

/** The runs of an SSH node, read through a copy on this machine. */
export function remoteSource(home: string, node: string, connected: Connected): RemoteRunSource {
  const files = new MirroredRunFiles(new RemoteRunFiles(connected), mirrorFolder(home, node));
  return new RemoteRunSource(node, files, connected, (runs) => files.listed(runs));
}
