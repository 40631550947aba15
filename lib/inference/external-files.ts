/** A plan's initialisers as external data that is computed when the runtime asks for it. */
import { isInline } from "@/lib/onnx/graph-writer";
import type { GraphPlan, Initialiser } from "@/lib/onnx/plan";
import type { ExternalData } from "./wasm-module";

/**
 * Mountable files by name. Each expands its weights on the one read that session creation makes, so that no more than one expanded
 * matrix is ever held beside the heap.
 */
export function lazyFiles(plan: Pick<GraphPlan, "initialisers">, expand: (initialiser: Initialiser) => Uint8Array): Map<string, ExternalData> {
  const files = new Map<string, ExternalData>();
  for (const initialiser of plan.initialisers) {
    if (isInline(initialiser)) continue;
    const { name, bytes } = initialiser;
    const subarray = (begin: number, end: number): Uint8Array => expand(initialiser).subarray(begin, end);
    files.set(name, { byteLength: bytes, subarray });
  }
  return files;
}
