/** Run directories as files that can be read in parts, wherever they lie. */
import type { FileStat, Liveness } from "../agent/protocol";
import type { RunFileName } from "./names";

/** Bytes from a place in a file, and what the file was when they were read. */
export interface FilePart {
  stat: FileStat;
  bytes: Uint8Array;
}

export interface RunFiles {
  /** At most `length` bytes from `offset`, fewer at the file's end; null if there is no such file. */
  read(run: string, name: RunFileName, offset: number, length: number): Promise<FilePart | null>;
  stat(run: string, name: RunFileName): Promise<FileStat | null>;
}

/** A run as a node lists it, without what its files hold. */
export interface ListedRun {
  id: string;
  files: Partial<Record<RunFileName, FileStat>>;
  /** Whether its process or SLURM job lives; null if it was never launched from a dashboard. */
  alive: Liveness | null;
}

/** Where the runs of one node come from. */
export interface RunSource {
  readonly node: string;
  readonly files: RunFiles;
  list(): Promise<ListedRun[]>;
}

/** What a whole small file holds (at most `limit` bytes of it), or null. */
export async function readText(files: RunFiles, run: string, name: RunFileName, limit = 4 << 20): Promise<string | null> {
  const part = await files.read(run, name, 0, limit);
  return part && new TextDecoder().decode(part.bytes);
}

/** A small JSON file's value, or null if it is missing or cannot be read. */
export async function readJson(files: RunFiles, run: string, name: RunFileName): Promise<unknown> {
  const text = await readText(files, run, name);
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
