/** Finds one file of a bundle on disk and answers an HTTP request for it, streaming, never reading it whole. */
import { open, realpath, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { locateManifest } from "./manifest-files";
import { bundlePath, bundleRoots, isFamilyName, type BundleRoot } from "./paths";
import { matchesNoneOf, parseRange, rangeAllowed } from "./range";

export type LocatedFile = {
  path: string;
  bytes: number;
  etag: string;
  /** The checksum that the manifest promises, if the file on disk has the promised size. */
  sha256: string | null;
};

/** Size and place of a file in the first root that has it; null if none has. Links that leave the root do not count. */
export async function findInRoots(family: string, file: string): Promise<{ root: BundleRoot; path: string; bytes: number; mtimeMs: number } | null> {
  for (const root of bundleRoots()) {
    const candidate = path.join(/* turbopackIgnore: true */ root.folder, family, file);
    const info = await stat(/* turbopackIgnore: true */ candidate).catch(() => null);
    if (!info?.isFile()) continue;
    const [real, base] = await Promise.all([
      realpath(/* turbopackIgnore: true */ candidate),
      realpath(/* turbopackIgnore: true */ root.folder),
    ]);
    if (!real.startsWith(base + path.sep)) continue;
    return { root, path: real, bytes: info.size, mtimeMs: info.mtimeMs };
  }
  return null;
}

/** A file that the family's manifest lists (or the manifest itself), or null if there is none to serve. */
export async function locateBundleFile(family: string, segments: string[]): Promise<LocatedFile | null> {
  const file = bundlePath(segments);
  if (file === null || !isFamilyName(family)) return null;
  const manifest = await locateManifest(family);
  if (!manifest) return null;
  if (file === "manifest.json") {
    return { path: manifest.path, bytes: manifest.bytes, etag: `"${manifest.sha256}"`, sha256: manifest.sha256 };
  }
  const promised = manifest.files[file];
  const found = promised && (await findInRoots(family, file));
  if (!found) return null;
  const whole = found.bytes === promised.bytes;
  return {
    path: found.path,
    bytes: found.bytes,
    // A file of the wrong size must not pass for the promised one in any cache.
    etag: whole ? `"${promised.sha256}"` : `"stat-${found.bytes}-${Math.round(found.mtimeMs)}"`,
    sha256: whole ? promised.sha256 : null,
  };
}

const contentTypes: Record<string, string> = {
  ".json": "application/json; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".safetensors": "application/octet-stream",
};

/** Answers GET or HEAD for a file: 200, 206, 304 or 416. */
export async function respondWithFile(request: Request, file: LocatedFile): Promise<Response> {
  const version = new URL(request.url).searchParams.get("v");
  const pinned = version !== null && version.length >= 8 && file.sha256?.startsWith(version);
  const headers = new Headers({
    ETag: file.etag,
    "Accept-Ranges": "bytes",
    "Cache-Control": pinned ? "public, max-age=31536000, immutable" : "no-cache",
  });
  if (matchesNoneOf(request.headers.get("if-none-match"), file.etag)) return new Response(null, { status: 304, headers });

  headers.set("Content-Type", contentTypes[path.extname(file.path)] ?? "application/octet-stream");
  const wanted = rangeAllowed(request.headers.get("if-range"), file.etag) ? parseRange(request.headers.get("range"), file.bytes) : null;
  if (wanted === "unsatisfiable") {
    headers.set("Content-Range", `bytes */${file.bytes}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = wanted ?? { start: 0, end: file.bytes - 1 };
  if (wanted) headers.set("Content-Range", `bytes ${start}-${end}/${file.bytes}`);
  // The framework may send the body in chunks instead and leave this out; readers know the size from the manifest.
  headers.set("Content-Length", String(end - start + 1));
  const body = request.method === "HEAD" ? null : streamFile(await open(/* turbopackIgnore: true */ file.path), start, end, request.signal);
  return new Response(body, { status: wanted ? 206 : 200, headers });
}

const chunkBytes = 256 * 1024;

/**
 * Bytes `start` to `end` (inclusive) as a stream that reads only as fast as the receiver takes. The handle is closed with the last chunk, or when the
 * receiver goes: nobody may ask for more then.
 */
function streamFile(handle: FileHandle, start: number, end: number, gone: AbortSignal): ReadableStream<Uint8Array> {
  let position = start;
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => (closing ??= handle.close());
  const leave = (): void => void close().catch(() => undefined);
  if (gone.aborted) leave();
  gone.addEventListener("abort", leave, { once: true });
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (closing) throw new Error("The receiver is gone.");
      const { bytesRead, buffer } = await handle.read({ buffer: new Uint8Array(Math.min(chunkBytes, end - position + 1)), position });
      position += bytesRead;
      if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead));
      if (bytesRead > 0 && position <= end) return;
      gone.removeEventListener("abort", leave);
      await close();
      if (position > end) controller.close();
      else controller.error(new Error("The file became shorter while it was sent."));
    },
    cancel: close,
  });
}
