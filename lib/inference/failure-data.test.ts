import { describe, expect, it } from "vitest";
import { HybridConfigError } from "@/lib/hybrid/config";
import { parsePattern } from "@/lib/hybrid/pattern";
import { WeightError } from "@/lib/weights/errors";
import { ContextTooLongError, NoModelError, OutOfMemoryError } from "./errors";
import { failureData } from "./failure-data";

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("It did not throw.");
}

describe("failures as data", () => {
  const cases: [unknown, string][] = [
    [new OutOfMemoryError(1e9, 2e9), "out_of_memory"],
    [thrown(() => new ArrayBuffer(2 ** 53)), "out_of_memory"],
    [new ContextTooLongError(9000, 8192), "context_too_long"],
    [new NoModelError(), "no_model"],
    [new WeightError("checksum-mismatch", "Damaged.", "Fetch again."), "bundle_damaged"],
    [new WeightError("manifest-version", "Newer.", "Update."), "bundle_version"],
    [new WeightError("file-missing", "Not there.", "Fetch it."), "bundle_missing"],
    [new WeightError("offline", "Offline.", "Connect."), "network"],
    [new HybridConfigError("No such set."), "bad_request"],
    [thrown(() => parsePattern("q7")), "bad_request"],
    [new TypeError("x is not a function"), "internal"],
    ["a string", "internal"],
  ];
  it.each(cases)("%s", (error, code) => {
    const data = failureData(error);
    expect(data.code).toBe(code);
    expect(data.message).toMatch(/\S/);
    expect(data.action).toMatch(/\S/);
  });

  it("tells a cancellation from a failure by the signal", () => {
    const canceller = new AbortController();
    canceller.abort(new DOMException("Cancelled", "AbortError"));
    expect(failureData(canceller.signal.reason, canceller.signal).code).toBe("cancelled");
    expect(failureData(new OutOfMemoryError(null, null), canceller.signal).code).toBe("out_of_memory");
  });
});
