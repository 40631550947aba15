/** Sends files to a node: what it lacks, under checksums, with progress in bytes. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { allFilesOf, parseManifest } from "@/lib/weights/manifest";
import type { AgentConnection } from "../hosts/connection";
import { cancelledError, NodeError } from "../hosts/errors";
import { makeFolder, statPath } from "../hosts/files";
import type { SentFile } from "./trainer-files";

export type Progress = { phase: string; message: string; done: number; total: number };
export type UploadOptions = {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  /** One part is one upload: what came whole stays when the next is interrupted. */
  partBytes?: number;
};

const missingSchema = z.object({ missing: z.array(z.string()) });
const createdSchema = z.object({ created: z.boolean() });
const reportBytes = 1024 * 1024;

/** Sends files whose contents are at hand into a folder that appears whole. False if it was there already. */
export async function sendNew(node: AgentConnection, folder: string, files: readonly SentFile[], contents: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean> {
  const answer = await node.ask(createdSchema, "put", { path: folder, mode: "new", files }, { input: contents, ...(signal ? { signal } : {}), timeoutMs: 120_000 });
  return answer.created;
}

/**
 * Sends those of a folder's files that the node lacks or has differently. `folder` is under the node's root.
 * Rejects with NodeError, `checksum` if a file changes meanwhile. Tells how many bytes went.
 */
export async function sendMissing(node: AgentConnection, local: string, folder: string, files: readonly SentFile[], label: string, { signal, onProgress, partBytes = 256 * 1024 * 1024 }: UploadOptions = {}): Promise<number> {
  const listing = signal ? { signal, timeoutMs: 0 } : { timeoutMs: 0 };
  const { missing } = await node.ask(missingSchema, "missing", { path: folder, files }, listing);
  const wanted = files.filter(({ name }) => missing.includes(name));
  const total = wanted.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  let told = -reportBytes;
  const tell = () => onProgress?.({ phase: "upload", message: `Sending ${label}`, done, total });
  if (total > 0) tell();
  for (const part of partsOf(wanted, partBytes)) {
    const input = async function* () {
      for (const { name } of part) {
        for await (const chunk of createReadStream(path.join(/* turbopackIgnore: true */ local, name), { highWaterMark: 256 * 1024 })) {
          const bytes = chunk as Buffer;
          done += bytes.byteLength;
          if (done - told >= reportBytes) {
            told = done;
            tell();
          }
          yield bytes;
        }
      }
    };
    await node.ask(createdSchema, "put", { path: folder, mode: "merge", files: part }, { input: input(), ...(signal ? { signal } : {}), timeoutMs: 120_000 });
  }
  if (total > 0) tell();
  return total;
}

/** Files in their order, in parts of at most so many bytes; a larger file is a part by itself. */
function partsOf(files: readonly SentFile[], most: number): SentFile[][] {
  const parts: SentFile[][] = [];
  let held = Infinity;
  for (const file of files) {
    if (held + file.size > most) {
      parts.push([]);
      held = 0;
    }
    parts.at(-1)?.push(file);
    held += file.size;
  }
  return parts;
}

/**
 * Sends one root's part of a family: its manifest and those listed files that lie beside it. Nothing for a family that the root lacks.
 * The manifest goes last: a bundle that has one is whole.
 */
export async function sendBundle(node: AgentConnection, local: string, folder: string, label: string, options: UploadOptions = {}): Promise<number> {
  const text = await readFile(path.join(/* turbopackIgnore: true */ local, "manifest.json")).catch(() => null);
  // A family may have files in the home folder under the manifest that ships.
  const listed = text === null ? null : allFilesOf(parseManifest(JSON.parse(text.toString("utf8"))));
  if (text === null || listed === null) return 0;
  const files: SentFile[] = [];
  for (const [name, { bytes, sha256 }] of Object.entries(listed)) {
    const info = await stat(path.join(/* turbopackIgnore: true */ local, name)).catch(() => null);
    if (info?.isFile() && info.size === bytes) files.push({ name, size: bytes, sha256 });
  }
  files.push({ name: "manifest.json", size: text.byteLength, sha256: createHash("sha256").update(text).digest("hex") });
  return sendMissing(node, local, folder, files, label, options);
}

const hashes = new Map<string, { stamp: string; sha256: string }>();

/** A file's checksum; files that did not change since are not read again. */
async function sha256Of(file: string, signal?: AbortSignal): Promise<SentFile & { name: "" }> {
  const info = await stat(/* turbopackIgnore: true */ file);
  const stamp = `${info.size}-${info.mtimeMs}-${info.ino}`;
  const known = hashes.get(file);
  if (known?.stamp === stamp) return { name: "", size: info.size, sha256: known.sha256 };
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(/* turbopackIgnore: true */ file, { highWaterMark: 1024 * 1024 })) {
    if (signal?.aborted) throw cancelledError();
    hash.update(chunk as Buffer);
  }
  const sha256 = hash.digest("hex");
  hashes.set(file, { stamp, sha256 });
  return { name: "", size: info.size, sha256 };
}

/**
 * Sends a folder of data (or one file) with all that is in it. A folder that the node lacks appears whole, by a rename at the end;
 * what an interrupted one brought is kept for the next. Rejects with NodeError `no-data` if this machine lacks it.
 */
export async function sendFolder(node: AgentConnection, local: string, folder: string, label: string, options: UploadOptions = {}): Promise<number> {
  const info = await stat(/* turbopackIgnore: true */ local).catch(() => null);
  if (info === null) throw new NodeError("no-data", `The data ${label} is not on this machine.`, "Make it first (docs/training.md), or choose other data.");
  if (info.isFile()) {
    const file = { ...(await sha256Of(local, options.signal)), name: path.basename(local) };
    const parent = path.posix.dirname(folder);
    return sendMissing(node, path.dirname(local), parent, [file], label, options);
  }
  const names = await filesUnder(local);
  const files: SentFile[] = [];
  for (const name of names) files.push({ ...(await sha256Of(path.join(/* turbopackIgnore: true */ local, name), options.signal)), name });
  const asked = options.signal ? { signal: options.signal } : {};
  if (await statPath(node, folder, asked)) return sendMissing(node, local, folder, files, label, options);
  // The name tells the content, so that nothing of another version is mixed in.
  const content = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
  const staging = path.posix.join(path.posix.dirname(folder), `.${path.posix.basename(folder)}.${content}`);
  await makeFolder(node, staging, asked);
  const sent = await sendMissing(node, local, staging, files, label, options);
  await node.call("move", { from: staging, to: folder }, asked).catch(async (error: unknown) => {
    // Another dashboard sent the same and was first.
    if ((await statPath(node, folder, asked)) === null) throw error;
  });
  return sent;
}

async function filesUnder(base: string, folder = ""): Promise<string[]> {
  const entries = await readdir(path.join(/* turbopackIgnore: true */ base, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesUnder(base, name);
      return entry.isFile() ? [name] : [];
    }),
  );
  return found.flat().sort();
}
