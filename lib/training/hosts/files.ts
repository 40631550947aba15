/** Files of a node by typed functions: what readers of run directories and the launch use. Paths are relative to the node's root. */
import { z } from "zod";
import { fileStatSchema, listRunsSchema, pathStatSchema, readAnswerSchema, trashListSchema, trashedSchema, type FileStat, type ReadAnswer } from "../agent/protocol";
import type { CallOptions } from "./pending";

/** What these functions need of a connection. */
export type Asker = {
  ask<T>(schema: z.ZodType<T>, op: string, params?: Record<string, unknown>, options?: CallOptions): Promise<T>;
};

type Options = Pick<CallOptions, "signal" | "timeoutMs">;

/** Size, time, inode and kind of a path; null if there is nothing. */
export function statPath(node: Asker, path: string, options?: Options) {
  return node.ask(pathStatSchema.nullable(), "stat", { path }, options);
}

/** All run directories with their files and liveness; `ids`: only these. */
export function listRuns(node: Asker, ids?: string[], options?: Options) {
  return node.ask(listRunsSchema, "list_runs", ids ? { ids } : {}, options);
}

/** Streams bytes of a file to `onData`, at most `length` (and at most 64 MiB); the answer tells size and inode of the file that was read. */
export function streamFile(node: Asker, path: string, range: { offset?: number; length?: number }, onData: (chunk: Uint8Array) => void | Promise<void>, options?: Options): Promise<ReadAnswer> {
  return node.ask(readAnswerSchema, "read", { path, ...range }, { ...options, onData });
}

/** Bytes of a file from `offset`, at most `length` (and at most 64 MiB), with size and inode of the file that was read. */
export async function readPart(node: Asker, path: string, offset = 0, length?: number, options?: Options): Promise<ReadAnswer & { data: Buffer }> {
  const parts: Uint8Array[] = [];
  const range = length === undefined ? { offset } : { offset, length };
  const answer = await streamFile(node, path, range, (chunk) => void parts.push(chunk), options);
  return { ...answer, data: Buffer.concat(parts) };
}

/** Writes a small file (at most 2 MiB) whole, with its folders. `exclusive`: rejects with `exists` if it is there. */
export function writeFile(node: Asker, path: string, content: string | Uint8Array, { exclusive = false, ...options }: Options & { exclusive?: boolean } = {}): Promise<FileStat> {
  return node.ask(fileStatSchema, "write", { path, data: Buffer.from(content as Uint8Array).toString("base64"), exclusive }, options);
}

/** Makes a folder with its parents. `exclusive`: rejects with `exists` if it is there. */
export async function makeFolder(node: Asker, path: string, { exclusive = false, ...options }: Options & { exclusive?: boolean } = {}): Promise<void> {
  await node.ask(z.unknown(), "mkdir", { path, exclusive }, options);
}

const entriesSchema = z.object({ entries: z.array(fileStatSchema.extend({ path: z.string(), kind: z.enum(["file", "folder"]) })) });

/** The files under a folder, by path; none if it is absent. */
export async function listFolder(node: Asker, path: string, deep = false, options?: Options) {
  return (await node.ask(entriesSchema, "list", { path, deep }, options)).entries;
}

/** Sends a folder as tar.gz to `onData`, which may wait; its members lie under `name`. `without`: its subfolders that are left out. */
export async function archive(node: Asker, path: string, name: string, onData: (chunk: Uint8Array) => void | Promise<void>, { without = [], ...options }: Options & { without?: string[] } = {}): Promise<void> {
  await node.ask(z.unknown(), "archive", { path, name, without }, { timeoutMs: 0, ...options, onData });
}

/** Moves a run to the trash. Rejects with `running` while its process lives. */
export const moveToTrash = (node: Asker, id: string, options?: Options) => node.ask(trashedSchema, "move_to_trash", { id }, options);

export const listTrash = (node: Asker, options?: Options) => node.ask(trashListSchema, "list_trash", {}, options);

/** Moves an entry of the trash back to the runs. Rejects with `exists` if a run has its id again. */
export const restoreFromTrash = (node: Asker, entry: string, options?: Options) => node.ask(z.object({ id: z.string() }), "restore", { entry }, options);

/** Deletes entries of the trash for good; all without `entries`. */
export const emptyTrash = (node: Asker, entries?: string[], options?: Options) =>
  node.ask(z.object({ entries: z.number(), bytes: z.number() }), "empty_trash", entries ? { entries } : {}, { timeoutMs: 0, ...options });
