/** Runs whose measures are held in memory, the least used given up first. */
import { coarseLines } from "./coarse";
import type { MetricsAnswer } from "../types";
import type { RunFiles } from "./files";
import type { MetricLines } from "./metric-lines";
import { MetricsFile, type MetricsChange } from "./metrics-file";

/** Bytes of metrics.jsonl that are read before the first answer; of longer files the first answer is coarse. */
const AT_ONCE = 8 << 20;
const PROBES = 400;
/** What all opened runs may take together. */
const MEMORY = 384 << 20;

/** What can be told of a run's measures now. */
export interface Measures {
  lines: MetricLines;
  generation: string;
  /** Bytes read of how many; null: all. Until then the lines are those at even distances. */
  loading: { read: number; size: number } | null;
}

export class OpenedRun {
  readonly file: MetricsFile;
  /** Answers that were worked out, by question; void when lines are added. */
  readonly answers = new Map<string, MetricsAnswer>();
  #coarse: { lines: MetricLines; size: number; generation: number } | null = null;
  #reading: Promise<MetricsChange> | null = null;
  readonly #closed = new AbortController();
  readonly #epoch = Math.random().toString(36).slice(2, 8);

  constructor(
    private readonly files: RunFiles,
    private readonly run: string,
    private readonly changed: () => void,
  ) {
    this.file = new MetricsFile(files, run);
  }

  get generation(): string {
    return `${this.#epoch}.${this.file.generation}`;
  }

  get bytes(): number {
    return this.file.lines.bytes + (this.#coarse?.lines.bytes ?? 0);
  }

  /** Whether it is being read. */
  get busy(): boolean {
    return this.#reading !== null;
  }

  /** Reads what is new, all of it. */
  refresh(): Promise<MetricsChange> {
    this.#reading ??= this.file
      .update(this.#closed.signal)
      .then((change) => {
        if (this.file.complete) this.#coarse = null;
        if (change.lines > 0 || change.reset) this.answers.clear();
        this.changed();
        return change;
      })
      .finally(() => {
        this.#reading = null;
      });
    return this.#reading;
  }

  /** The measures as they are now: of a long file first a coarse view, while the rest is read. */
  async measures(): Promise<Measures> {
    const size = this.file.complete ? this.file.read : ((await this.files.stat(this.run, "metrics.jsonl"))?.size ?? 0);
    if (size - this.file.read <= AT_ONCE) {
      await this.refresh();
      return { lines: this.file.lines, generation: this.generation, loading: null };
    }
    // Its failure shows at the next question, which reads again.
    this.refresh().catch(() => undefined);
    if (!this.#coarse || this.#coarse.generation !== this.file.generation) {
      const lines = await coarseLines(this.files, this.run, size, PROBES);
      if (this.file.complete || !lines) {
        await this.refresh();
        return { lines: this.file.lines, generation: this.generation, loading: null };
      }
      this.#coarse = { lines, size, generation: this.file.generation };
    }
    return { lines: this.#coarse.lines, generation: this.generation, loading: { read: this.file.read, size } };
  }

  close(): void {
    this.#closed.abort();
  }
}

export class OpenedRuns {
  readonly #runs = new Map<string, OpenedRun>();

  /** memory: bytes that all may take; the run that was used last stays, whatever it takes. */
  constructor(private readonly memory = MEMORY) {}

  /** The run, opened if it is not. `files` is used when it is opened. */
  open(node: string, run: string, files: RunFiles): OpenedRun {
    const key = `${node}/${run}`;
    const opened = this.#runs.get(key) ?? new OpenedRun(files, run, () => this.#trim(key));
    this.#runs.delete(key);
    this.#runs.set(key, opened);
    return opened;
  }

  /** Forgets a run, as when it was deleted. */
  forget(node: string, run: string): void {
    const key = `${node}/${run}`;
    this.#runs.get(key)?.close();
    this.#runs.delete(key);
  }

  get size(): number {
    return this.#runs.size;
  }

  get bytes(): number {
    let sum = 0;
    for (const run of this.#runs.values()) sum += run.bytes;
    return sum;
  }

  #trim(kept: string): void {
    let bytes = this.bytes;
    for (const [key, run] of this.#runs) {
      if (bytes <= this.memory) return;
      if (key === kept || run.busy) continue;
      bytes -= run.bytes;
      this.#runs.delete(key);
    }
  }
}
