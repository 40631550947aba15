import { z } from "zod";
import { elementCount } from "./codec-size";
import { WeightError } from "./errors";
import { type Manifest, tensorParts } from "./manifest";
import type { StoredFile } from "./store";

const dtypeBytes = {
  F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1,
} as const;

/** Far above what a shard needs; bounds what a damaged length can make the reader allocate. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;
const PREFIX_BYTES = 8;

const entrySchema = z.strictObject({
  dtype: z.enum(Object.keys(dtypeBytes) as (keyof typeof dtypeBytes)[]),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.union([entrySchema, z.record(z.string(), z.string())]));

/** A tensor of a safetensors file; `begin` and `end` count from the start of the file. */
export interface SafetensorsEntry {
  readonly dtype: keyof typeof dtypeBytes;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function invalid(file: string, problem: string, cause?: unknown): WeightError {
  return new WeightError("safetensors-invalid", `"${file}" is not a usable safetensors file: ${problem}.`, "Export or fetch the bundle again.", { cause });
}

/**
 * Reads and validates a safetensors header: its length is bounded, offsets lie inside the file and do not overlap, each
 * range has the size of its dtype and shape. Throws WeightError `safetensors-invalid`. `name` is for messages.
 */
export async function readSafetensorsHeader(file: StoredFile, name: string): Promise<Map<string, SafetensorsEntry>> {
  if (file.bytes < PREFIX_BYTES) throw invalid(name, `it has only ${file.bytes} bytes`);
  const prefix = await file.read(0, PREFIX_BYTES);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true));
  if (length > Math.min(MAX_HEADER_BYTES, file.bytes - PREFIX_BYTES)) {
    throw invalid(name, `its header would have ${length} bytes in a file of ${file.bytes}`);
  }
  const dataStart = PREFIX_BYTES + length;
  const entries = new Map<string, SafetensorsEntry>();
  for (const [tensor, value] of Object.entries(parseHeader(await file.read(PREFIX_BYTES, dataStart), name))) {
    if (tensor === "__metadata__") continue;
    const entry = entrySchema.safeParse(value);
    if (!entry.success) throw invalid(name, `entry "${tensor}" is not a tensor`);
    const { dtype, shape, data_offsets: [begin, end] } = entry.data;
    if (end < begin || dataStart + end > file.bytes) throw invalid(name, `tensor "${tensor}" lies outside the file`);
    if (end - begin !== elementCount(shape) * dtypeBytes[dtype]) {
      throw invalid(name, `tensor "${tensor}" has ${end - begin} bytes for ${dtype} [${shape.join(", ")}]`);
    }
    entries.set(tensor, { dtype, shape, begin: dataStart + begin, end: dataStart + end });
  }
  checkOverlap(entries, name);
  return entries;
}

function parseHeader(bytes: Uint8Array, name: string): z.infer<typeof headerSchema> {
  let json: unknown;
  try {
    // slice: a decoder does not take shared memory.
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.slice()));
  } catch (error) {
    throw invalid(name, "its header is not JSON", error);
  }
  const header = headerSchema.safeParse(json);
  if (!header.success) throw invalid(name, `its header is malformed at "${header.error.issues[0]?.path.join(".") ?? ""}"`);
  return header.data;
}

function checkOverlap(entries: ReadonlyMap<string, SafetensorsEntry>, name: string): void {
  let last = 0;
  for (const [tensor, { begin, end }] of [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin < last) throw invalid(name, `tensor "${tensor}" overlaps another`);
    last = end;
  }
}

/** What a shard's header and the manifest's index disagree on, one line each; empty if they agree. */
export function shardProblems(header: ReadonlyMap<string, SafetensorsEntry>, manifest: Manifest, file: string): string[] {
  const problems: string[] = [];
  const indices = [manifest.base.tensors, ...Object.values(manifest.mixer_sets).map(({ tensors }) => tensors)];
  for (const [name, entry] of indices.flatMap((index) => Object.entries(index))) {
    if (entry.file !== file) continue;
    for (const { suffix, dtype, shape, range } of tensorParts(entry)) {
      const stored = header.get(name + suffix);
      if (!stored) problems.push(`"${name + suffix}" is not in the file`);
      else if (stored.dtype !== dtype || stored.shape.join() !== shape.join()) {
        problems.push(`"${name + suffix}" is ${stored.dtype} [${stored.shape.join(", ")}], not ${dtype} [${shape.join(", ")}]`);
      } else if (stored.begin !== range[0] || stored.end !== range[1]) {
        problems.push(`"${name + suffix}" lies at [${stored.begin}, ${stored.end}), not [${range.join(", ")})`);
      }
    }
  }
  return problems;
}

/** Reads a shard's header and checks it against the manifest. Throws WeightError `safetensors-invalid`. */
export async function checkShard(file: StoredFile, manifest: Manifest, name: string): Promise<void> {
  const problems = shardProblems(await readSafetensorsHeader(file, name), manifest, name);
  if (problems.length > 0) throw invalid(name, `it disagrees with the manifest: ${problems.slice(0, 3).join("; ")}`);
}
