/** What a follower remembers of one run between two looks. */
import { isDeepStrictEqual } from "node:util";
import type { RunRow } from "@/lib/db/rows";
import { digestOf, emptyDigest, type Digest } from "../runs/digest";
import { readJson, type ListedRun, type RunFiles } from "../runs/files";
import type { RunFileName } from "../runs/names";
import { recordOf, rowOf, type RunDocuments, type RunRecord } from "../runs/record";
import type { OpenedRun } from "../runs/opened-runs";

const documents = { status: "status.json", config: "config.json", job: "job.json", notes: "notes.json" } as const satisfies Record<keyof RunDocuments, RunFileName>;
const documentNames = ["status", "config", "job", "notes"] as const;

const same = (a: { inode: number; size: number; mtime?: number } | undefined, b: typeof a) => a?.inode === b?.inode && a?.size === b?.size && a?.mtime === b?.mtime;

export class RunState {
  record: RunRecord | null = null;
  digest: Digest = emptyDigest;
  measured: RunRow["measured"] = null;
  #listed: ListedRun | null = null;
  readonly #documents: RunDocuments = { status: null, config: null, job: null, notes: null };

  constructor(
    private readonly node: string,
    private readonly files: RunFiles,
  ) {}

  /** Takes over what the index keeps. */
  restore(record: RunRecord, digest: Digest, measured: RunRow["measured"]): void {
    this.record = record;
    this.digest = digest;
    this.measured = measured;
  }

  /** Reads the small files that changed. Returns whether the record is another. */
  async look(listed: ListedRun, now: number): Promise<boolean> {
    const before = this.#listed;
    const changed = documentNames.filter((name) => !before || !same(before.files[documents[name]], listed.files[documents[name]]));
    for (const name of changed) {
      const value = listed.files[documents[name]] ? await readJson(this.files, listed.id, documents[name]) : null;
      // A file that is being replaced by a program that does not rename is read again at the next look.
      this.#documents[name] = value ?? (name === "status" && listed.files["status.json"] ? this.#documents.status : value);
    }
    this.#listed = listed;
    return this.#update(now);
  }

  /** Says that the run's files cannot be read. Returns whether that is new. */
  fail(listed: ListedRun, error: unknown, now: number): boolean {
    const known = this.record ?? recordOf({ node: this.node, listed, digest: this.digest, now, ...this.#documents });
    const reason = error instanceof Error ? error.message : String(error);
    const record = { ...known, message: `Its files cannot be read: ${reason}`, action: "Check the rights to its folder, and the disk." };
    const differs = !isDeepStrictEqual(record, this.record);
    this.record = record;
    return differs;
  }

  /** Whether the index has no measures of the file as it is now. */
  get unmeasured(): boolean {
    const stat = this.#listed?.files["metrics.jsonl"];
    return stat ? this.measured?.inode !== stat.inode || this.measured.size !== stat.size : this.measured !== null;
  }

  /** Sums up the measures that were read. Returns whether the record is another. */
  measure(opened: OpenedRun, now: number): boolean {
    const { file } = opened;
    this.digest = digestOf(file.lines);
    this.measured = file.stat && { inode: file.stat.inode, size: file.stat.size, read: file.whole };
    return this.#update(now);
  }

  row(): RunRow | null {
    return this.record && rowOf(this.record, this.digest, this.measured, this.#documents.config);
  }

  #update(now: number): boolean {
    if (!this.#listed) return false;
    const record = recordOf({ node: this.node, listed: this.#listed, digest: this.digest, now, ...this.#documents });
    const differs = !isDeepStrictEqual(record, this.record);
    this.record = record;
    return differs;
  }
}
