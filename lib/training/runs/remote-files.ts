/** Run directories of a node that the agent reads. */
import { listRuns, readPart, statPath, type Asker } from "../hosts/files";
import { NodeError } from "../hosts/errors";
import type { FileStat } from "../agent/protocol";
import type { FilePart, ListedRun, RunFiles, RunSource } from "./files";
import { runFileNames, type RunFileName } from "./names";

/** Gives the connection that stands, or rejects with NodeError. */
export type Connected = () => Promise<Asker>;

const isMissing = (error: unknown) => error instanceof NodeError && (error.code === "not-found" || error.code === "not-a-file");

export class RemoteRunFiles implements RunFiles {
  constructor(private readonly connected: Connected) {}

  async read(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    const node = await this.connected();
    try {
      const { data, size, mtime, inode } = await readPart(node, `runs/${run}/${name}`, offset, length);
      return { stat: { size, mtime, inode }, bytes: data };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async stat(run: string, name: RunFileName): Promise<FileStat | null> {
    const found = await statPath(await this.connected(), `runs/${run}/${name}`);
    return found?.kind === "file" ? found : null;
  }
}

const known = new Set<string>(runFileNames);
const isRunFile = (name: string): name is RunFileName => known.has(name);

/** The runs that the agent lists; `files` reads them, through a mirror. */
export class RemoteRunSource implements RunSource {
  constructor(
    readonly node: string,
    readonly files: RunFiles,
    private readonly connected: Connected,
    /** Told of each list, so that a mirror knows what is new. */
    private readonly listed: (runs: ListedRun[]) => void = () => undefined,
  ) {}

  async list(): Promise<ListedRun[]> {
    const { runs } = await listRuns(await this.connected());
    const found = runs.map(({ id, files, alive }) => {
      const mine: ListedRun["files"] = {};
      for (const [name, stat] of Object.entries(files)) if (isRunFile(name)) mine[name] = stat;
      return { id, files: mine, alive };
    });
    const present = found.filter(({ files }) => files["config.json"] ?? files["job.json"] ?? files["status.json"]);
    this.listed(present);
    return present;
  }
}
