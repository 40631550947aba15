/** Recorded measurements of speculation, from `results/speculative.json`. */
import type { ResultEntry, ResultsFile } from "@/lib/home/results";

export type Recorded = { readonly series: string; readonly provider: string; readonly family: string; readonly k: number | "adaptive"; readonly value: number };

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** Where runs are recorded, by the name in their entries, as the page calls it; the first is shown first. */
export const places: Readonly<Record<string, string>> = { webgpu: "WebGPU", wasm: "WebAssembly", "pytorch-cuda": "GPU node (PyTorch, CUDA graphs)" };

/** Entries of a metric, by target and draft, and where they ran. */
export function recorded(results: readonly ResultsFile[], metric: string): Recorded[] {
  return entriesOf(results, metric).flatMap(({ of, value }) => {
    const k = of.K === "adaptive" ? of.K : Number(of.K);
    // Entries of one kind of prompt are parts of the whole's.
    if (of.kind !== undefined || (k !== "adaptive" && !Number.isInteger(k))) return [];
    const unfused = of.passes === "pytorch" ? ", passes not fused" : "";
    return [{ series: `${text(of.variant)}, ${text(of.draft)}${unfused}`, provider: text(of.provider), family: text(of.family), k, value }];
  });
}

/** The state update alone: microseconds for 32 tokens at each K and width, and single steps'. */
export function kernelTimes(results: readonly ResultsFile[]): { width: string; k: number; microseconds: number; single: number }[] {
  return entriesOf(results, "speculative.kernel_time").flatMap(({ of, value, peer }) => (peer && Number.isInteger(Number(of.K)) ? [{ width: text(of.width), k: Number(of.K), microseconds: value, single: peer.value }] : []));
}

function entriesOf(results: readonly ResultsFile[], metric: string): ResultEntry[] {
  return results.flatMap((file) => ("results" in file ? file.results.entries : [])).filter((entry) => entry.metric === metric);
}
