/** Byte ranges and conditional requests (RFC 9110), for one representation with a strong ETag. */

export type ByteRange = { start: number; end: number };

/**
 * Reads a Range header against a file of `size` bytes. `end` is inclusive.
 * Null means "send the whole file": no header, another unit, bad syntax, or several ranges, which a server may ignore.
 */
export function parseRange(header: string | null, size: number): ByteRange | "unsatisfiable" | null {
  const match = header === null ? null : /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header);
  if (!match) return null;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return null;
  if (first === "") {
    const suffix = Number(last);
    if (suffix === 0 || size === 0) return "unsatisfiable";
    return { start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return null;
  if (start >= size) return "unsatisfiable";
  return { start, end };
}

/** Whether If-None-Match names the ETag (weak comparison, as the RFC asks of this header). */
export function matchesNoneOf(header: string | null, etag: string): boolean {
  if (header === null) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag);
}

/** Whether a Range may be honoured: without If-Range always, else only if it names this very ETag. Dates never match. */
export function rangeAllowed(ifRange: string | null, etag: string): boolean {
  return ifRange === null || ifRange.trim() === etag;
}
