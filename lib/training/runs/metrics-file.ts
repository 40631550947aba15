/** Follows a run's metrics.jsonl: reads what is new, and all again if the file was rewritten. */
import { MetricLines } from "./metric-lines";
import type { FileStat } from "../agent/protocol";
import type { FilePart, RunFiles } from "./files";

const CHUNK = 1 << 20;
/** Bytes before the place read so far that must be the same as then: a rewritten file may have the old one's inode. */
const OVERLAP = 96;
/** A line that is longer is garbage. */
const LONGEST_LINE = 8 << 20;

export interface MetricsChange {
  /** The file is another than before: everything that was read is void. */
  reset: boolean;
  /** Lines that were read, garbage not counted. */
  lines: number;
}

export class MetricsFile {
  lines = new MetricLines();
  /** Changes when the file was rewritten. */
  generation = 0;
  /** Bytes that were read, a torn last line included. */
  read = 0;
  stat: FileStat | null = null;
  #carry = new Uint8Array(0);
  #discarding = false;
  #tail = new Uint8Array(0);
  #updating: Promise<MetricsChange> | null = null;

  constructor(
    private readonly files: RunFiles,
    private readonly run: string,
  ) {}

  /** Bytes of the whole lines that were read. */
  get whole(): number {
    return this.read - this.#carry.length;
  }

  /** Whether all of the file was read when it was last looked at. */
  get complete(): boolean {
    return this.stat !== null && this.read >= this.stat.size;
  }

  /**
   * Reads to the file's end, in parts between which other work goes on. Calls while one is under way share it.
   * A signal ends it after a part; what was read stays.
   */
  update(signal?: AbortSignal): Promise<MetricsChange> {
    this.#updating ??= this.#update(signal).finally(() => {
      this.#updating = null;
    });
    return this.#updating;
  }

  async #update(signal?: AbortSignal): Promise<MetricsChange> {
    const change: MetricsChange = { reset: false, lines: 0 };
    let before = this.lines.lines;
    const restart = () => {
      change.reset = true;
      this.#restart();
      before = 0;
    };
    let next: Promise<FilePart | null> = this.#readFrom(this.read - this.#tail.length);
    for (let first = true; ; first = false) {
      const part = await next;
      if (!part) {
        if (this.stat !== null) restart();
        break;
      }
      const overlap = first ? this.#tail.length : 0;
      if (!this.#continues(part, overlap)) {
        restart();
        next = this.#readFrom(0);
        first = true;
        if (signal?.aborted) break;
        continue;
      }
      const bytes = part.bytes.subarray(overlap);
      this.stat = part.stat;
      this.read += bytes.length;
      const more = part.bytes.length > 0 && this.read < part.stat.size && !signal?.aborted;
      // The next part is on its way while this one is taken apart.
      if (more) next = this.#readFrom(this.read);
      if (bytes.length > 0) this.#take(bytes);
      if (!more) break;
    }
    change.lines = this.lines.lines - before;
    return change;
  }

  #readFrom(offset: number): Promise<FilePart | null> {
    const part = this.files.read(this.run, "metrics.jsonl", offset, CHUNK);
    // It is awaited later; until then a failure must not count as unhandled.
    part.catch(() => undefined);
    return part;
  }

  #continues(part: FilePart, overlap: number): boolean {
    if (this.stat === null) return true;
    if (part.stat.inode !== this.stat.inode || part.stat.size < this.read) return false;
    return Buffer.compare(part.bytes.subarray(0, overlap), this.#tail.subarray(this.#tail.length - overlap)) === 0;
  }

  #take(bytes: Uint8Array): void {
    const all = this.#carry.length > 0 ? Buffer.concat([this.#carry, bytes]) : bytes;
    let from = 0;
    if (this.#discarding) {
      const end = all.indexOf(0x0a);
      if (end < 0) from = all.length;
      else {
        from = end + 1;
        this.#discarding = false;
      }
    }
    const end = this.#discarding ? from : this.lines.append(all, from);
    this.#carry = all.slice(end);
    if (this.#carry.length > LONGEST_LINE) {
      this.#carry = new Uint8Array(0);
      this.#discarding = true;
      this.lines.skipped++;
    }
    this.#tail = bytes.length >= OVERLAP ? bytes.slice(-OVERLAP) : Buffer.concat([this.#tail, bytes]).subarray(-OVERLAP);
  }

  #restart(): void {
    this.lines = new MetricLines();
    this.generation++;
    this.read = 0;
    this.stat = null;
    this.#carry = new Uint8Array(0);
    this.#tail = new Uint8Array(0);
    this.#discarding = false;
  }
}
