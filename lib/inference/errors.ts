/** What can go wrong with a model in use. Each says what the user can do. */
export abstract class InferenceFailure extends Error {
  abstract readonly code: FailureCode;
  abstract readonly action: string;
}

export type FailureCode = "no_model" | "no_webgpu" | "device_lost" | "out_of_memory" | "context_too_long" | "unsupported" | "bad_request" | "internal";

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

export class RuntimeError extends InferenceFailure {
  override readonly name = "RuntimeError";
  readonly code = "internal";
  readonly action = "Load the model again; if it happens again, choose the other provider.";
}

export class OutOfMemoryError extends InferenceFailure {
  override readonly name = "OutOfMemoryError";
  readonly code = "out_of_memory";
  readonly action = "Close other tabs or models, choose a smaller model or a shorter context, then load again.";

  /** `wanted` bytes, if known, beside the `held` bytes. */
  constructor(wanted: number | null, held: number | null, options?: ErrorOptions) {
    const what = wanted === null ? "" : ` for another ${megabytes(wanted)}`;
    const beside = held === null ? "" : ` (${megabytes(held)} in use)`;
    super(`There is not enough memory${what}${beside}.`, options);
  }
}

export class NoModelError extends InferenceFailure {
  override readonly name = "NoModelError";
  readonly code = "no_model";
  readonly action = "Load a model first.";

  constructor() {
    super("No model is loaded.");
  }
}

export class NoWebGpuError extends InferenceFailure {
  override readonly name = "NoWebGpuError";
  readonly code = "no_webgpu";
  readonly action = "Choose WebAssembly, or a browser and a machine with WebGPU.";
}

export class DeviceLostError extends InferenceFailure {
  override readonly name = "DeviceLostError";
  readonly code = "device_lost";
  readonly action = "Load the model again; if it happens again, choose WebAssembly.";

  constructor(reason: string) {
    super(`The GPU device was lost: ${reason || "the driver gave no reason"}.`);
  }
}

export class ContextTooLongError extends InferenceFailure {
  override readonly name = "ContextTooLongError";
  readonly code = "context_too_long";
  readonly action = "Shorten the prompt or start a new conversation.";

  constructor(tokens: number, limit: number) {
    super(`The prompt has ${tokens} tokens; the model takes at most ${limit - 1}, so that one is left for the answer.`);
  }
}

export class UnsupportedError extends InferenceFailure {
  override readonly name = "UnsupportedError";
  readonly code = "unsupported";
  constructor(
    message: string,
    readonly action: string,
  ) {
    super(message);
  }
}

export class BadInputError extends InferenceFailure {
  override readonly name = "BadInputError";
  readonly code = "bad_request";
  constructor(
    message: string,
    readonly action = "Correct the request.",
  ) {
    super(message);
  }
}
