/** What went wrong with a bundle; stable, so that views and tests can tell cases apart. */
export type WeightErrorCode =
  | "manifest-version"
  | "manifest-invalid"
  | "variant-unknown"
  | "tensor-unknown"
  | "safetensors-invalid"
  | "codec-invalid"
  | "ranking-invalid"
  | "file-missing"
  | "file-truncated"
  | "checksum-mismatch"
  | "network"
  | "offline"
  | "quota-exceeded"
  | "out-of-memory"
  | "cache-unavailable";

/** A failure to read, fetch or keep weights: what went wrong (`message`) and what the user can do (`action`). */
export class WeightError extends Error {
  override readonly name: string = "WeightError";
  constructor(
    readonly code: WeightErrorCode,
    message: string,
    readonly action: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A manifest that cannot be used; `problems` lists each fault by its place. */
export class ManifestError extends WeightError {
  override readonly name = "ManifestError";
  constructor(
    code: "manifest-version" | "manifest-invalid",
    message: string,
    action: string,
    readonly problems: readonly string[] = [],
  ) {
    super(code, message, action);
  }
}
