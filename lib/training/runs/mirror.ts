/** A copy on this machine of what was read of a node's run directories, so that runs can be opened while the node is away. */
import { lstat, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { fileStatSchema, type FileStat } from "../agent/protocol";
import { runIdPattern } from "../types";
import type { FilePart, ListedRun, RunFiles } from "./files";
import { runFileNames, type RunFileName } from "./names";

/** Files that only grow; the others are replaced whole. */
const growing = new Set<RunFileName>(["metrics.jsonl", "samples.jsonl", "log.txt"]);
/** Bytes before the end of the copy that the file must still have. */
const OVERLAP = 96;
/** Whole files above this are not kept. */
const LARGEST_WHOLE = 16 << 20;

const indexSchema = z.record(z.string(), fileStatSchema);
/** What the copy of a run holds: of each file the stat it was read at, with the bytes that were copied as size. */
type Index = Map<string, FileStat>;

/** Reads through a copy: bytes that it has come from it, others from the node and stay in it. */
export class MirroredRunFiles implements RunFiles {
  readonly #indexes = new Map<string, Promise<Index>>();
  /** What the node listed last. */
  readonly #current = new Map<string, ListedRun["files"]>();
  readonly #queues = new Map<string, Promise<unknown>>();

  /** folder: `<home>/mirror/<node>`. */
  constructor(
    private readonly node: RunFiles,
    private readonly folder: string,
  ) {}

  /** Takes note of what the node listed: copies of other contents no longer count. */
  listed(runs: readonly ListedRun[]): void {
    this.#current.clear();
    for (const { id, files } of runs) this.#current.set(id, files);
  }

  async stat(run: string, name: RunFileName): Promise<FileStat | null> {
    try {
      return await this.node.stat(run, name);
    } catch (error) {
      return (await this.#index(run)).get(name) ?? rethrow(error);
    }
  }

  /** Reads of one file wait for each other, so that its copy grows in order. */
  read(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    this.#check(run, name);
    const key = `${run}/${name}`;
    const before = this.#queues.get(key) ?? Promise.resolve();
    const reading = before.then(() => (growing.has(name) ? this.#readGrowing(run, name, offset, length) : this.#readWhole(run, name, offset, length)));
    const settled = reading.catch(() => undefined);
    this.#queues.set(key, settled);
    void settled.then(() => this.#queues.get(key) === settled && this.#queues.delete(key));
    return reading;
  }

  /** Forgets the copy of a run. */
  async forget(run: string): Promise<void> {
    this.#check(run, "status.json");
    this.#indexes.delete(run);
    await rm(/* turbopackIgnore: true */ path.join(this.folder, run), { recursive: true, force: true });
  }

  #check(run: string, name: RunFileName): void {
    if (!runIdPattern.test(run) || !runFileNames.includes(name)) throw new Error(`No file of a run: ${JSON.stringify([run, name])}`);
  }

  #path(run: string, name: string): string {
    return path.join(/* turbopackIgnore: true */ this.folder, run, name);
  }

  #index(run: string): Promise<Index> {
    const known = this.#indexes.get(run) ?? this.#readIndex(run);
    this.#indexes.set(run, known);
    return known;
  }

  /** What is noted of a run's copy, as far as the files are still there. */
  async #readIndex(run: string): Promise<Index> {
    const index: Index = new Map();
    try {
      const noted = indexSchema.parse(JSON.parse(await readFile(/* turbopackIgnore: true */ this.#path(run, "mirror.json"), "utf8")));
      for (const name of runFileNames) {
        const stat = noted[name];
        const found = stat && (await lstat(/* turbopackIgnore: true */ this.#path(run, name)).catch(() => null));
        if (found && found.size >= stat.size) index.set(name, stat);
      }
    } catch {
      // Without a note that can be read there is no copy.
    }
    return index;
  }

  async #note(run: string, name: string, stat: FileStat | null): Promise<void> {
    const index = await this.#index(run);
    if (stat) index.set(name, stat);
    else index.delete(name);
    const file = this.#path(run, "mirror.json");
    const part = `${file}.${Math.random().toString(36).slice(2)}.part`;
    try {
      await writeFile(/* turbopackIgnore: true */ part, JSON.stringify(Object.fromEntries(index)));
      await rename(/* turbopackIgnore: true */ part, file);
    } catch {
      // An older note on disk names no byte that is not there; the copy's end is compared before it counts.
      await rm(/* turbopackIgnore: true */ part, { force: true });
    }
  }

  async #copy(run: string, name: string, offset: number, length: number): Promise<Uint8Array> {
    const file = await open(/* turbopackIgnore: true */ this.#path(run, name));
    try {
      const bytes = new Uint8Array(Math.max(0, length));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Keeps bytes that were read. Where that fails, as on a full disk, they are read again another time. */
  async #store(run: string, name: string, offset: number, bytes: Uint8Array, stat: FileStat): Promise<void> {
    await this.#write(run, name, offset, bytes, stat).catch(() => undefined);
  }

  async #write(run: string, name: string, offset: number, bytes: Uint8Array, stat: FileStat): Promise<void> {
    await mkdir(/* turbopackIgnore: true */ path.join(this.folder, run), { recursive: true });
    const file = await open(/* turbopackIgnore: true */ this.#path(run, name), offset === 0 ? "w" : "r+");
    try {
      await file.write(bytes, 0, bytes.length, offset);
      await file.truncate(offset + bytes.length);
    } finally {
      await file.close();
    }
    await this.#note(run, name, { ...stat, size: offset + bytes.length });
  }

  async #readWhole(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    const copied = (await this.#index(run)).get(name);
    const current = this.#current.get(run)?.[name];
    const slice = async (stat: FileStat) => ({ stat, bytes: await this.#copy(run, name, offset, Math.min(length, stat.size - offset)) });
    if (copied && current && same(copied, current)) return slice(copied);
    try {
      const whole = await this.node.read(run, name, 0, LARGEST_WHOLE);
      if (!whole) {
        if (copied) await this.#note(run, name, null);
        return null;
      }
      if (whole.bytes.length === whole.stat.size) await this.#store(run, name, 0, whole.bytes, whole.stat);
      return { stat: whole.stat, bytes: whole.bytes.subarray(offset, offset + length) };
    } catch (error) {
      return copied ? slice(copied) : rethrow(error);
    }
  }

  async #readGrowing(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null> {
    const current = this.#current.get(run)?.[name];
    let copied = (await this.#index(run)).get(name);
    if (copied && current && !(await this.#isBeginning(run, name, copied, current))) {
      await this.#note(run, name, null);
      copied = undefined;
    }
    const have = copied?.size ?? 0;
    if (copied && offset < have) return { stat: current ?? copied, bytes: await this.#copy(run, name, offset, Math.min(length, have - offset)) };
    try {
      const part = await this.node.read(run, name, offset, length);
      if (!part) {
        if (copied) await this.#note(run, name, null);
        return null;
      }
      // The end of a long file may be looked at before its beginning was copied; that is not kept.
      const continues = offset === have && (!copied || part.stat.inode === copied.inode);
      if (continues && (part.bytes.length > 0 || !copied)) await this.#store(run, name, have, part.bytes, part.stat);
      return part;
    } catch (error) {
      return copied ? { stat: copied, bytes: new Uint8Array(0) } : rethrow(error);
    }
  }

  /** Whether a copy is the beginning of the file that the node has now: inodes are used again, so its end is compared. */
  async #isBeginning(run: string, name: RunFileName, copied: FileStat, current: FileStat): Promise<boolean> {
    if (copied.inode !== current.inode) return false;
    // A list that is older than the copy says less than it has: the node is asked.
    const covered = copied.size <= current.size;
    if (copied.size === 0 || (covered && copied.mtime === current.mtime)) return true;
    const overlap = Math.min(OVERLAP, copied.size);
    const part = await this.node.read(run, name, copied.size - overlap, overlap).catch(() => null);
    // What the node cannot tell now, it tells when it is back.
    if (!part) return true;
    const tail = await this.#copy(run, name, copied.size - overlap, overlap);
    if (part.stat.inode !== copied.inode || Buffer.compare(tail, part.bytes) !== 0) return false;
    if (covered) await this.#note(run, name, { ...copied, mtime: current.mtime });
    return true;
  }
}

const same = (a: FileStat, b: FileStat) => a.inode === b.inode && a.size === b.size && a.mtime === b.mtime;

function rethrow(error: unknown): never {
  throw error;
}
