/** What can go wrong between the server and a node. */
import type { ErrorBody } from "../types";

/** `message` says what went wrong, `action` what the user can do; `code` is for programs. */
export class NodeError extends Error {
  override readonly name = "NodeError";

  constructor(
    readonly code: string,
    message: string,
    readonly action: string,
  ) {
    super(message);
  }

  toBody(): ErrorBody {
    return { code: this.code, message: this.message, action: this.action };
  }
}

/** Any thrown value as a NodeError. */
export function asNodeError(error: unknown): NodeError {
  if (error instanceof NodeError) return error;
  if (error instanceof Error && error.name === "AbortError") return cancelledError();
  return new NodeError("internal", `The node could not be used: ${error instanceof Error ? error.message : String(error)}.`, "Try again.");
}

export function cancelledError(): NodeError {
  return new NodeError("cancelled", "It was cancelled.", "Start it again when you like.");
}
