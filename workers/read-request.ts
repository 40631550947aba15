/** A worker's end of the protocol's first rule: what is not a request is answered, not obeyed. */
import type { z } from "zod";
import type { ErrorData } from "./protocol";

/** The request in a message, or null; a bad one that has an id is answered with what is wrong with it. */
export function readRequest<T>(schema: z.ZodType<T>, data: unknown, send: (answer: { id: number; type: "error"; error: ErrorData }) => void): T | null {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const id = (data as { id?: unknown } | null)?.id;
  const message = `The worker was sent a bad request: ${parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}.`;
  if (typeof id === "number") send({ id, type: "error", error: { code: "bad_request", message, action: "Correct the request." } });
  return null;
}
