/** Tells what is new of one run that somebody watches: lines of metrics, log and samples. */
import type { RunFiles } from "../runs/files";
import type { MetricLines } from "../runs/metric-lines";
import type { OpenedRun } from "../runs/opened-runs";
import { sampleOf, Tail } from "../runs/tails";
import type { FollowEvent } from "./events";

type MetricsEvent = Extract<FollowEvent, { type: "metrics" }>;
/** Most rows of one event; a tab that gets fewer than there are asks for the series again. */
const MOST_ROWS = 500;
/** Bytes of metrics above which a poll does not wait for them. */
export const LONG = 8 << 20;

export class WatchedRun {
  watchers = 0;
  #log: Tail;
  #samples: Tail;
  #begun: Promise<void> | null = null;
  #reading = false;
  #generation: string | null = null;
  #told = new Map<string, number>();

  constructor(
    private readonly node: string,
    private readonly run: string,
    private readonly files: RunFiles,
    private readonly tell: (event: FollowEvent) => void,
  ) {
    this.#log = new Tail(files, run, "log.txt");
    this.#samples = new Tail(files, run, "samples.jsonl");
  }

  /** Takes what is there now as known: who begins to watch reads it by itself. */
  begin(opened: OpenedRun): Promise<void> {
    this.#begun ??= this.#begin(opened).catch((error: unknown) => {
      this.#begun = null;
      throw error;
    });
    return this.#begun;
  }

  async #begin(opened: OpenedRun): Promise<void> {
    // What others have read, who watches may have read too; lines after these are told, at worst a second time.
    const known = opened.file.stat !== null;
    if (known) this.#mark(opened);
    await Promise.all([this.#log.skip(), this.#samples.skip()]);
    if (known) return;
    const size = (await this.files.stat(this.run, "metrics.jsonl"))?.size ?? 0;
    if (size <= LONG) await opened.refresh();
    else this.#reading = true;
    this.#mark(opened);
  }

  /** Tells of the lines that came since the last time; `opened` has been read. */
  metrics(opened: OpenedRun): void {
    const { lines, complete } = opened.file;
    // What is read of a long file is not new.
    if (!complete) return;
    if (this.#reading) {
      this.#reading = false;
      this.#mark(opened);
      return;
    }
    const reset = this.#generation !== opened.generation;
    const from = reset ? new Map<string, number>() : this.#told;
    const fresh = [...lines.tables].reduce((sum, [kind, table]) => sum + table.length - (from.get(kind) ?? 0), 0);
    if (fresh === 0 && !reset) return;
    const event: MetricsEvent = { type: "metrics", node: this.node, id: this.run, generation: opened.generation, reset, total: lines.lines, rows: rowsSince(lines, from) };
    this.#mark(opened);
    this.tell(event);
  }

  /** Reads and tells what is new of the log and the samples. */
  async tails(): Promise<void> {
    for await (const { from, to, bytes } of this.#log.parts()) {
      this.tell({ type: "log", node: this.node, id: this.run, from, to, text: new TextDecoder().decode(bytes) });
    }
    for await (const lines of this.#samples.lines()) {
      const samples = lines.flatMap(sampleOf);
      if (samples.length > 0) this.tell({ type: "samples", node: this.node, id: this.run, samples });
    }
  }

  #mark(opened: OpenedRun): void {
    this.#generation = opened.generation;
    this.#told = new Map([...opened.file.lines.tables].map(([kind, table]) => [kind, table.length]));
  }
}

/** The newest rows past `from` (rows a kind), in the order of steps. */
function rowsSince(lines: MetricLines, from: Map<string, number>): MetricsEvent["rows"] {
  const rows: MetricsEvent["rows"] = [];
  for (const [kind, table] of lines.tables) {
    for (let i = Math.max(from.get(kind) ?? 0, table.length - MOST_ROWS); i < table.length; i++) {
      const row: MetricsEvent["rows"][number] = {
        kind,
        step: table.step.values[i] as number,
        tokens: table.tokens.values[i] || 0,
        time: table.time.values[i] || 0,
      };
      for (const [name, { values }] of table.measures) {
        const value = values[i] as number;
        if (!Number.isNaN(value)) row[name] = Number(value.toPrecision(7));
      }
      rows.push(row);
    }
  }
  return rows.sort((a, b) => a.step - b.step).slice(-MOST_ROWS);
}
