/** Run directories on this machine's disk. */
import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { NodeError } from "../hosts/errors";
import { runIdPattern } from "../types";
import type { FileStat, Liveness } from "../agent/protocol";
import type { FilePart, ListedRun, RunFiles, RunSource } from "./files";
import { runFileNames, type RunFileName } from "./names";

/** Runs that did not change for this long (seconds) are looked at only now and then. */
const QUIET = 60;
const QUIET_EVERY = 10;

function statOf(found: { ino: bigint; size: bigint; mtimeMs: bigint }): FileStat {
  return { inode: Number(found.ino), size: Number(found.size), mtime: Number(found.mtimeMs) / 1000 };
}

const isMissing = (error: unknown) => ["ENOENT", "ENOTDIR", "EISDIR", "ELOOP"].includes(String(error instanceof Error && Reflect.get(error, "code")));

export class LocalRunFiles implements RunFiles {
  /** folder: holds one folder a run. */
  constructor(readonly folder: string) {}

  /** The path of a run's file. Throws where a name is none of a run: nothing outside the folder can be named. */
  path(run: string, name: RunFileName): string {
    if (!runIdPattern.test(run) || !runFileNames.includes(name)) throw new Error(`No file of a run: ${JSON.stringify([run, name])}`);
    return path.join(/* turbopackIgnore: true */ this.folder, run, name);
  }

  async read(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    const real = await this.#real(run, name);
    const file = real && (await open(/* turbopackIgnore: true */ real).catch(missingIsNull));
    if (!file) return null;
    try {
      const found = statOf(await file.stat({ bigint: true }));
      const bytes = new Uint8Array(Math.max(0, Math.min(length, found.size - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return { stat: found, bytes: bytes.subarray(0, filled) };
    } catch (error) {
      return missingIsNull(error);
    } finally {
      await file.close();
    }
  }

  async stat(run: string, name: RunFileName): Promise<FileStat | null> {
    // A link is not followed; for what it leads to, `read` says no.
    const found = await lstat(/* turbopackIgnore: true */ this.path(run, name), { bigint: true }).catch(missingIsNull);
    return found?.isFile() ? statOf(found) : null;
  }

  /** The file's path without links; null if it is missing. Throws NodeError `path` if a link leads out of the folder, as on other nodes. */
  async #real(run: string, name: RunFileName): Promise<string | null> {
    const named = this.path(run, name);
    const [folder, file] = await Promise.all([realpath(/* turbopackIgnore: true */ this.folder), realpath(/* turbopackIgnore: true */ named)]).catch((error: unknown) => [missingIsNull(error), null]);
    if (folder === null || file === null) return null;
    if (file.startsWith(folder + path.sep)) return file;
    throw new NodeError("path", `${run}/${name} leads out of the folder of runs through a link.`, "Put the file itself there.");
  }
}

function missingIsNull(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}

/** Tells whether a run lives. */
export type LivenessProbe = (run: ListedRun) => Promise<Liveness | null>;

/** The runs of a folder on this machine. */
export class LocalRunSource implements RunSource {
  readonly files: LocalRunFiles;
  readonly #seen = new Map<string, { folderChanged: bigint; run: ListedRun; newest: number }>();
  #round = 0;

  /** liveness: null for histories, which do not run. */
  constructor(
    readonly node: string,
    folder: string,
    private readonly liveness: LivenessProbe | null,
  ) {
    this.files = new LocalRunFiles(folder);
  }

  async list(): Promise<ListedRun[]> {
    const round = this.#round++;
    const root = await realpath(/* turbopackIgnore: true */ this.files.folder).catch(missingIsNull);
    if (root === null) return [];
    const entries = await readdir(/* turbopackIgnore: true */ root, { withFileTypes: true });
    const ids = entries.filter((entry) => entry.isDirectory() && runIdPattern.test(entry.name)).map(({ name }) => name);
    for (const id of this.#seen.keys()) if (!ids.includes(id)) this.#seen.delete(id);
    const listed = await Promise.all(ids.map((id) => this.#look(id, round)));
    return listed.filter((run) => run !== null);
  }

  async #look(id: string, round: number): Promise<ListedRun | null> {
    const folder = await stat(/* turbopackIgnore: true */ path.join(this.files.folder, id), { bigint: true }).catch(missingIsNull);
    if (!folder) return null;
    const seen = this.#seen.get(id);
    // Appending changes no folder, so quiet runs are still looked at, but seldom; replacing status.json does.
    const quiet = seen && seen.folderChanged === folder.mtimeNs && Date.now() / 1000 - seen.newest > QUIET;
    if (quiet && seen.run.alive !== "alive" && round % QUIET_EVERY !== 0) return seen.run;
    const files: ListedRun["files"] = {};
    for (const name of runFileNames) {
      const found = await this.files.stat(id, name);
      if (found) files[name] = found;
    }
    if (!files["config.json"] && !files["job.json"] && !files["status.json"]) return null;
    const run: ListedRun = { id, files, alive: null };
    if (this.liveness) run.alive = await this.liveness(run);
    this.#seen.set(id, { folderChanged: folder.mtimeNs, run, newest: Math.max(...Object.values(files).map(({ mtime }) => mtime)) });
    return run;
  }
}
