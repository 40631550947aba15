/** What a hybrid costs as its context grows: the curves of the charts, and where two of them cross. */
import { accountFor, decodeFlops, type HybridAccount, stateBytes } from "./accounting";
import type { HybridConfig, MixerSets } from "./config";

/** One curve's value at each context length. */
export interface CostPoint {
  readonly context: number;
  /** Bytes of the KV cache and the Mamba states after `context` tokens. */
  readonly bytes: number;
  /** FLOPs to decode the token that sees `context` tokens, itself included. */
  readonly flops: number;
}

/** The costs of one hybrid that do not depend on a context, and its curve. */
export interface HybridCosts {
  readonly account: HybridAccount;
  readonly curve: readonly CostPoint[];
}

/** Context lengths for a log axis: `from`, then every half octave up to `to`, and the lengths in `and` that lie between. Ascending, without repeats. */
export function contextLengths(from: number, to: number, and: readonly number[] = []): number[] {
  const lengths = new Set([from, to]);
  for (let step = 0; from * 2 ** (step / 2) < to; step += 1) lengths.add(Math.round(from * 2 ** (step / 2)));
  for (const length of and) if (length >= from && length <= to) lengths.add(length);
  return [...lengths].sort((a, b) => a - b);
}

/** Costs of a hybrid at these context lengths. Throws HybridConfigError if a layer's mixer set is not in `sets`. */
export function costsOf(config: HybridConfig, sets: MixerSets, contexts: readonly number[]): HybridCosts {
  const account = accountFor(config, sets);
  // FLOPs a token are linear in the context: two passes over the layers give the whole curve.
  const first = decodeFlops(config, sets, 1).total;
  const slope = decodeFlops(config, sets, 2).total - first;
  return {
    account,
    curve: contexts.map((context) => ({ context, bytes: stateBytes(account, context), flops: first + slope * (Math.max(1, context) - 1) })),
  };
}

/**
 * Where a hybrid begins to take less memory than another model: the least whole context length from which on `hybrid` holds fewer
 * bytes. 0 if it always does; null if it never does, however long the context.
 */
export function memoryCrossing(hybrid: HybridAccount, other: HybridAccount): number | null {
  const saved = other.kvBytesPerToken - hybrid.kvBytesPerToken;
  const extra = fixedBytes(hybrid) - fixedBytes(other);
  if (saved < 0) return null;
  if (saved === 0) return extra < 0 ? 0 : null;
  return Math.max(0, Math.floor(extra / saved) + 1);
}

/** Bytes of state that are there whatever the context. */
export function fixedBytes(account: HybridAccount): number {
  return account.convStateBytes + account.ssmStateBytes;
}
