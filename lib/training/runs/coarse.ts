/** A first look at a long metrics.jsonl: lines at even distances, long before all of it has been read. */
import type { FilePart, RunFiles } from "./files";
import { MetricLines } from "./metric-lines";

/** Reads that are under way at once: enough to fill a link. */
const AT_ONCE = 16;
/** Read at the beginning and at the end: the line's length, the newest lines. */
const EDGE = 64 * 1024;

/** Lines at even distances of a file of `size` bytes, its first and its last; null if it is gone. `probes`: how many places. */
export async function coarseLines(files: RunFiles, run: string, size: number, probes: number): Promise<MetricLines | null> {
  const name = "metrics.jsonl";
  const head = await files.read(run, name, 0, EDGE);
  if (!head) return null;
  const longest = longestLine(head.bytes);
  const window = Math.max(1024, 4 * longest);
  const lines = new MetricLines();
  const read = lines.append(head.bytes);
  const offsets = Array.from({ length: probes }, (_, i) => Math.floor(read + ((i + 0.5) / probes) * (size - read))).filter((offset) => offset + window < size - EDGE);
  const parts: (FilePart | null)[] = [];
  for (let i = 0; i < offsets.length; i += AT_ONCE) {
    parts.push(...(await Promise.all(offsets.slice(i, i + AT_ONCE).map((offset) => files.read(run, name, offset, window)))));
  }
  parts.push(await files.read(run, name, Math.max(read, size - EDGE), EDGE));
  let reached = read;
  parts.forEach((part, i) => {
    const offset = offsets[i] ?? Math.max(read, size - EDGE);
    // A file that was replaced meanwhile is another; the whole reading starts anew and finds out.
    if (!part || part.stat.inode !== head.stat.inode) return;
    const begin = offset === read ? 0 : part.bytes.indexOf(0x0a) + 1;
    if ((begin === 0 && offset !== read) || offset + begin < reached) return;
    reached = offset + lines.append(part.bytes, begin);
  });
  return lines;
}

function longestLine(bytes: Uint8Array): number {
  let longest = 256;
  for (let at = 0; ; ) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) return longest;
    longest = Math.max(longest, end + 1 - at);
    at = end + 1;
  }
}
