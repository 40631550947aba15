import { createSHA256 } from "hash-wasm";
import type { StoredFile } from "./store";

/** SHA-256 of a stream of chunks. */
export interface Checksum {
  update(chunk: Uint8Array): void;
  reset(): void;
  /** Lower-case hexadecimal; ends the sum until `reset`. */
  digest(): string;
}

/** An incremental SHA-256; `crypto.subtle` would need the whole file in memory. */
export async function createChecksum(): Promise<Checksum> {
  const hasher = await createSHA256();
  hasher.init();
  return {
    update: (chunk) => void hasher.update(chunk),
    reset: () => void hasher.init(),
    digest: () => hasher.digest("hex"),
  };
}

const READ_BYTES = 1 << 20;

/** SHA-256 of a stored file, in lower-case hexadecimal. */
export async function checksumOf(file: StoredFile, signal?: AbortSignal): Promise<string> {
  const checksum = await createChecksum();
  for (let begin = 0; begin < file.bytes; begin += READ_BYTES) {
    signal?.throwIfAborted();
    checksum.update(await file.read(begin, Math.min(file.bytes, begin + READ_BYTES)));
  }
  return checksum.digest();
}
