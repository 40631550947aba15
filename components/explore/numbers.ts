/** Numbers as the explorer shows them. */
import { formatNumber } from "@/components/ui/format";

/** Nats with the digits that matter, such as `0.0042`, `0.183`, `2.41`. */
export function formatNats(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.0001) return value.toExponential(1).replace("-", "\u2212").replace("e\u2212", "e-");
  return size < 0.01 ? value.toFixed(4) : formatNumber(value);
}

/** A share as percent with one digit. */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : "–";
}

/** A probability with the digits that matter. */
export function formatProbability(probability: number): string {
  return probability >= 0.0995 ? `${(100 * probability).toFixed(0)}%` : probability >= 0.001 ? `${(100 * probability).toFixed(1)}%` : "<0.1%";
}

/** A difference with its sign. */
export function formatSigned(value: number, format: (value: number) => string): string {
  return `${value > 0 ? "+" : value < 0 ? "\u2212" : "±"}${format(Math.abs(value))}`;
}
