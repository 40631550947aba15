/** The ends of log.txt and samples.jsonl. */
import { z } from "zod";
import type { FileStat } from "../agent/protocol";
import type { LogAnswer, Sample } from "../types";
import type { RunFiles } from "./files";
import type { RunFileName } from "./names";

/** Bytes of a log that one answer holds. */
const LOG_PART = 256 * 1024;
const CHUNK = 1 << 20;

const sampleSchema = z.object({ step: z.number(), prompt: z.string(), text: z.string(), teacher: z.string().nullish() });

/**
 * Part of a log from a byte offset, at most 256 KiB; below zero: that many bytes before the end. Cut at ends of lines, but for
 * one that is longer than an answer. An offset past the end (the file was replaced) starts over.
 */
export async function readLog(files: RunFiles, run: string, from: number): Promise<LogAnswer> {
  const stat = await files.stat(run, "log.txt");
  if (!stat) return { from: 0, to: 0, size: 0, generation: "", text: "" };
  const start = from < 0 ? Math.max(0, stat.size + from) : from > stat.size ? 0 : from;
  const part = await files.read(run, "log.txt", start, LOG_PART);
  if (!part) return { from: 0, to: 0, size: 0, generation: "", text: "" };
  const generation = String(part.stat.inode);
  const cut = from < 0 && start > 0 ? part.bytes.indexOf(0x0a) + 1 : 0;
  const end = part.bytes.lastIndexOf(0x0a) + 1;
  const bytes = part.bytes.subarray(cut, end > cut || part.bytes.length < LOG_PART ? Math.max(cut, end) : part.bytes.length);
  return { from: start + cut, to: start + cut + bytes.length, size: part.stat.size, generation, text: new TextDecoder().decode(bytes) };
}

/** The newest `limit` samples, oldest first. */
export async function readSamples(files: RunFiles, run: string, limit = 200): Promise<{ samples: Sample[]; total: number }> {
  const samples: Sample[] = [];
  const tail = new Tail(files, run, "samples.jsonl");
  for await (const lines of tail.lines()) samples.push(...lines.flatMap(sampleOf));
  return { samples: samples.slice(-limit), total: samples.length };
}

/** The sample of a line; none if it cannot be read. */
export function sampleOf(line: string): Sample[] {
  try {
    const parsed = sampleSchema.safeParse(JSON.parse(line));
    return parsed.success ? [{ ...parsed.data, teacher: parsed.data.teacher ?? null }] : [];
  } catch {
    return [];
  }
}

/** Follows a file of lines: each look gives the whole lines that are new. */
export class Tail {
  #stat: FileStat | null = null;

  /** offset: where to begin. */
  constructor(
    private readonly files: RunFiles,
    private readonly run: string,
    private readonly name: RunFileName,
    public offset = 0,
  ) {}

  /** Begins at the present end of the file. */
  async skip(): Promise<void> {
    this.#stat = await this.files.stat(this.run, this.name);
    this.offset = this.#stat?.size ?? 0;
  }

  /** New bytes up to the end of a line, in parts; a part with `from` 0 means that the file may be another. */
  async *parts(): AsyncGenerator<{ from: number; to: number; bytes: Uint8Array }> {
    for (;;) {
      const part = await this.files.read(this.run, this.name, this.offset, CHUNK);
      if (!part) {
        this.offset = 0;
        this.#stat = null;
        return;
      }
      const replaced = this.#stat !== null && (part.stat.inode !== this.#stat.inode || part.stat.size < this.offset);
      this.#stat = part.stat;
      if (replaced) {
        this.offset = 0;
        continue;
      }
      const end = part.bytes.lastIndexOf(0x0a) + 1;
      const taken = end > 0 || part.bytes.length < CHUNK ? end : part.bytes.length;
      if (taken === 0) return;
      const from = this.offset;
      this.offset += taken;
      yield { from, to: this.offset, bytes: part.bytes.subarray(0, taken) };
    }
  }

  async *lines(): AsyncGenerator<string[]> {
    for await (const { bytes } of this.parts()) {
      yield new TextDecoder()
        .decode(bytes)
        .split("\n")
        .filter((line) => line.trim() !== "");
    }
  }
}
