/** Follows the runs of one node: one poll for all who look, however many they are. */
import type { Db } from "@/lib/db/connection";
import { changeRuns, listRuns } from "@/lib/db/runs";
import type { RunRow } from "@/lib/db/rows";
import { asNodeError, NodeError } from "../hosts/errors";
import type { ListedRun, RunSource } from "../runs/files";
import type { OpenedRun, OpenedRuns } from "../runs/opened-runs";
import { recordOfRow, type RunRecord } from "../runs/record";
import type { FollowEvent } from "./events";
import { RunState } from "./run-state";
import { LONG, WatchedRun } from "./watched-run";

/** Milliseconds between two polls: while somebody watches an active run, while a page is open, and else. */
export interface Intervals {
  watched: number;
  open: number;
  idle: number;
  /** Longest wait for a node that does not answer. */
  away: number;
}

export const defaultIntervals: Intervals = { watched: 1000, open: 5000, idle: 30_000, away: 60_000 };

/** What a node's agent says of a file, not of the node. */
const ofOneFile = new Set(["denied", "io", "path", "not-a-file", "not-found"]);

export interface FollowerParts {
  source: RunSource;
  opened: OpenedRuns;
  /** The index that is kept up to date; null: none. */
  db: Db | null;
  tell: (event: FollowEvent) => void;
  intervals?: Partial<Intervals>;
  /** Seconds since 1970. */
  now?: () => number;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #intervals: Intervals;
  readonly #states = new Map<string, RunState>();
  readonly #watched = new Map<string, WatchedRun>();
  #pages = 0;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #polling: Promise<void> | null = null;
  #again = false;
  #reading: Promise<unknown> | null = null;
  #failures = 0;
  #error: NodeError | null = null;
  readonly #unsaved = new Map<string, RunRow | null>();
  /** Why the index could not be written; null if it could. */
  indexProblem: string | null = null;
  /** Polls so far. */
  polls = 0;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#intervals = { ...defaultIntervals, ...parts.intervals };
    for (const row of parts.db ? this.#rows(parts.db) : []) {
      const kept = recordOfRow(row);
      if (kept) this.#state(row.id).restore(kept.record, kept.digest, row.measured);
    }
  }

  get node(): string {
    return this.#parts.source.node;
  }

  /** Why the node did not answer the last poll; null if it did. */
  get error(): NodeError | null {
    return this.#error;
  }

  /** The runs as they were last seen, newest first. */
  records(): RunRecord[] {
    const records = [...this.#states.values()].map(({ record }) => record).filter((record) => record !== null);
    return records.sort((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1));
  }

  /** One run as it was last seen, or null. */
  record(run: string): RunRecord | null {
    return this.#states.get(run)?.record ?? null;
  }

  /** The run's measures, shared with all who look at it. */
  open(run: string): OpenedRun {
    return this.#parts.opened.open(this.node, run, this.#parts.source.files);
  }

  /** Begins to poll. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.poll();
  }

  /** Ends polling, once a poll under way has ended. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#polling;
  }

  /**
   * Somebody has a page open, on one run or on all. Returns the way to end it. While anybody watches a run, its new
   * metrics, log and samples are told.
   */
  watch(run: string | null): () => void {
    this.#pages++;
    let watched: WatchedRun | null = null;
    if (run !== null) {
      watched = this.#watched.get(run) ?? new WatchedRun(this.node, run, this.#parts.source.files, this.#parts.tell);
      this.#watched.set(run, watched);
      watched.watchers++;
      // What is there now, who watches reads by itself; if it cannot be told now, the next poll tells it.
      watched.begin(this.open(run)).catch(() => undefined);
    }
    if (this.#running) this.#schedule(0);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#pages--;
      if (watched && run !== null && --watched.watchers === 0) this.#watched.delete(run);
    };
  }

  /** Looks at the node now, as after a launch. A poll under way is followed by another. Never rejects. */
  async poll(): Promise<void> {
    if (this.#polling) {
      this.#again = true;
      return this.#polling;
    }
    if (this.#timer) clearTimeout(this.#timer);
    this.#polling = (async () => {
      do {
        this.#again = false;
        await this.#poll();
      } while (this.#again);
    })().finally(() => {
      this.#polling = null;
      if (this.#running) this.#schedule(this.#wait());
    });
    return this.#polling;
  }

  #rows(db: Db): RunRow[] {
    try {
      return listRuns(db, this.node);
    } catch {
      // Rows that cannot be used are made again from the run directories.
      return [];
    }
  }

  #state(run: string): RunState {
    const known = this.#states.get(run) ?? new RunState(this.node, this.#parts.source.files);
    this.#states.set(run, known);
    return known;
  }

  #schedule(wait: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.poll(), wait);
    this.#timer.unref();
  }

  #wait(): number {
    const { watched, open, idle, away } = this.#intervals;
    const isActive = (run: string) => ["running", "queued", undefined].includes(this.record(run)?.state);
    const usual = [...this.#watched.keys()].some(isActive) ? watched : this.#pages > 0 ? open : idle;
    return this.#failures === 0 ? usual : Math.min(away, Math.max(usual, watched * 2 ** Math.min(this.#failures, 16)));
  }

  async #poll(): Promise<void> {
    const { source, tell, now = () => Date.now() / 1000 } = this.#parts;
    this.polls++;
    try {
      const listed = await source.list();
      const put: RunRow[] = [];
      for (const run of listed) {
        const row = await this.#look(run, now()).catch((error: unknown) => this.#unreadable(run, error, now()));
        if (row) put.push(row);
      }
      const present = new Set(listed.map(({ id }) => id));
      const removed = [...this.#states.keys()].filter((id) => !present.has(id));
      for (const id of removed) {
        this.#states.delete(id);
        this.#parts.opened.forget(this.node, id);
        tell({ type: "run-removed", node: this.node, id });
      }
      this.#save(put, removed);
      this.#failures = 0;
      this.#error = null;
    } catch (error) {
      this.#failures++;
      this.#error = asNodeError(error);
    }
    tell({ type: "seen", node: this.node, time: now(), error: this.#error });
  }

  /** Writes the index. What cannot be written, as on a full disk, is tried again at the next poll. */
  #save(put: readonly RunRow[], removed: readonly string[]): void {
    const { db } = this.#parts;
    if (!db) return;
    for (const row of put) this.#unsaved.set(row.id, row);
    for (const id of removed) this.#unsaved.set(id, null);
    if (this.#unsaved.size === 0) return;
    try {
      const changes = [...this.#unsaved];
      changeRuns(db, this.node, changes.flatMap(([, row]) => row ?? []), changes.flatMap(([id, row]) => (row ? [] : [id])));
      this.#unsaved.clear();
      this.indexProblem = null;
    } catch (error) {
      this.indexProblem = error instanceof Error ? error.message : String(error);
    }
  }

  /** One run that cannot be read must not hide the others; a node that went away meanwhile ends the poll. */
  #unreadable(listed: ListedRun, error: unknown, now: number): RunRow | null {
    if (error instanceof NodeError && !ofOneFile.has(error.code)) throw error;
    const state = this.#state(listed.id);
    if (!state.fail(listed, error, now) || !state.record) return null;
    this.#parts.tell({ type: "record", record: state.record });
    return state.row();
  }

  /** Reads the new measures. Of a long file they are read beside the polls, one file at a time, and false is returned. */
  async #read(opened: OpenedRun, { files }: ListedRun): Promise<boolean> {
    if ((files["metrics.jsonl"]?.size ?? 0) - opened.file.read <= LONG) {
      await opened.refresh();
      return true;
    }
    if (this.#reading) return false;
    this.#reading = opened.refresh().then(
      () => this.#running && this.#schedule(0),
      () => undefined,
    );
    void this.#reading.finally(() => {
      this.#reading = null;
    });
    return false;
  }

  /** The run's new row if it is another than before. */
  async #look(listed: ListedRun, now: number): Promise<RunRow | null> {
    const state = this.#state(listed.id);
    const watched = this.#watched.get(listed.id);
    let changed = await state.look(listed, now);
    // How far the file was read is in the index too, also where new lines change nothing that is shown.
    let measured = false;
    const opened = watched || state.unmeasured ? this.open(listed.id) : null;
    if (opened && watched) await watched.begin(opened);
    if (opened && state.unmeasured && (await this.#read(opened, listed))) {
      changed = state.measure(opened, now) || changed;
      measured = true;
    }
    if (opened && watched) {
      watched.metrics(opened);
      await watched.tails();
    }
    if (changed && state.record) this.#parts.tell({ type: "record", record: state.record });
    return changed || measured ? state.row() : null;
  }
}
