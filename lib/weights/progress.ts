import type { BundleFile } from "./manifest";

/** How far a load is. Bytes from the cache count as loaded. */
export interface LoadProgress {
  readonly loaded: number;
  readonly total: number;
  /** Of `loaded`, what was in the cache. */
  readonly cached: number;
  /** Recent rate of what comes over the network; 0 until there is something to measure. */
  readonly bytesPerSecond: number;
  /** The file that moved last. */
  readonly file: string;
}

/** The rate is averaged over about this long, in milliseconds. */
const WINDOW_MS = 2000;
/** Reports are at least this far apart, in milliseconds, but for each file's end. */
const REPORT_MS = 50;

/** Adds up the progress of several files. */
export class ProgressMeter {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #received = new Map<string, number>();
  readonly #total: number;
  #cached = 0;
  #samples: { at: number; bytes: number }[] = [];
  #reported = 0;

  constructor(
    files: readonly BundleFile[],
    private readonly report: ((progress: LoadProgress) => void) | undefined,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
    this.#total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** `bytes` of the file have come over the network. */
  received(file: string, bytes: number): void {
    this.#received.set(file, bytes);
    const at = this.now();
    this.#samples.push({ at, bytes: this.#network() });
    // Keep one sample from before the window as its start.
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) < at - WINDOW_MS) this.#samples.shift();
    if (bytes === this.#sizes.get(file) || at - this.#reported >= REPORT_MS) this.#tell(file, at);
  }

  /** The whole file was in the cache. */
  cached(file: string): void {
    this.#cached += this.#sizes.get(file) ?? 0;
    this.#tell(file, this.now());
  }

  #network(): number {
    let sum = 0;
    for (const bytes of this.#received.values()) sum += bytes;
    return sum;
  }

  #tell(file: string, at: number): void {
    this.#reported = at;
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    const elapsed = first && last ? last.at - first.at : 0;
    const bytesPerSecond = first && last && elapsed > 0 ? Math.max(0, ((last.bytes - first.bytes) / elapsed) * 1000) : 0;
    this.report?.({ loaded: this.#cached + this.#network(), total: this.#total, cached: this.#cached, bytesPerSecond, file });
  }
}
