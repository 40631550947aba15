/** Any failure as data: what went wrong and what the user can do. */
import { HybridConfigError } from "@/lib/hybrid/config";
import { PatternError } from "@/lib/hybrid/pattern";
import { WeightError, type WeightErrorCode } from "@/lib/weights/errors";
import { InferenceFailure, type FailureCode, OutOfMemoryError } from "./errors";

export type FailureDataCode = FailureCode | "cancelled" | "bundle_missing" | "bundle_damaged" | "bundle_version" | "network";
export type FailureData = { readonly code: FailureDataCode; readonly message: string; readonly action: string };

const weightCodes: Partial<Record<WeightErrorCode, FailureDataCode>> = {
  "manifest-version": "bundle_version",
  "file-missing": "bundle_missing",
  "variant-unknown": "bad_request",
  network: "network",
  offline: "network",
};

/** `signal`: that of the work that failed, by which a cancellation is told from a failure. */
export function failureData(error: unknown, signal?: AbortSignal): FailureData {
  if (signal?.aborted && (error === signal.reason || (error instanceof DOMException && error.name === "AbortError"))) {
    return { code: "cancelled", message: "Cancelled.", action: "Start again when you like." };
  }
  if (error instanceof InferenceFailure) return { code: error.code, message: error.message, action: error.action };
  if (error instanceof WeightError) return { code: weightCodes[error.code] ?? "bundle_damaged", message: error.message, action: error.action };
  if (error instanceof HybridConfigError) return { code: "bad_request", message: error.message, action: error.action };
  if (error instanceof PatternError) return { code: "bad_request", message: error.message, action: "Correct the layer pattern." };
  if (error instanceof RangeError && /allocation|memory|array( buffer)? length/i.test(error.message)) return failureData(new OutOfMemoryError(null, null));
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `The inference worker failed: ${message}`, action: "Load the model again; if it happens again, report it." };
}
