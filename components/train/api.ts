/** The training routes as functions; every answer is checked against its schema. */
import type { z } from "zod";
import { errorBodySchema, nodeStreamEventSchema, type NodeStreamEvent } from "@/lib/training/types";

/** What a route refused, or why there was no answer. */
export class TrainingError extends Error {
  override readonly name = "TrainingError";
  constructor(
    readonly code: string,
    message: string,
    readonly action: string,
  ) {
    super(message);
  }
}

/** What to tell about any error, and what can be done. */
export function explain(error: Error): { message: string; action: string } {
  // An error's own message is not enumerable, and would be lost where this is spread.
  if (error instanceof TrainingError) return { message: error.message, action: error.action };
  return { message: error.message, action: "Reload the page; if it stays so, look at the server's output." };
}

export const unreachable = () => new TrainingError("unreachable", "The dashboard's server does not answer.", "Check that it is running (npm start). Runs go on without it.");

/** Address of a run's routes; `part` such as `metrics`. */
export function runPath(node: string, id: string, part = ""): string {
  return `/api/training/runs/${encodeURIComponent(node)}/${encodeURIComponent(id)}${part && `/${part}`}`;
}

type Body = { method?: "GET" | "POST" | "PATCH" | "DELETE"; json?: unknown; signal?: AbortSignal };

async function request(path: string, { method = "GET", json, signal }: Body): Promise<Response> {
  const init: RequestInit = { method, ...(signal && { signal }), ...(json !== undefined && { body: JSON.stringify(json), headers: { "Content-Type": "application/json" } }) };
  const response = await fetch(path, init).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw unreachable();
  });
  if (response.ok) return response;
  const told = errorBodySchema.safeParse(await response.json().catch(() => null));
  if (told.success) throw new TrainingError(told.data.code, told.data.message, told.data.action);
  throw new TrainingError(`http-${response.status}`, `The server answered ${response.status}.`, "Try again; if it stays so, look at the server's output.");
}

/** Reads what a route answers. Throws {@link TrainingError}. */
export async function ask<T>(path: string, schema: z.ZodType<T>, body: Body = {}): Promise<T> {
  const response = await request(path, body);
  const read = schema.safeParse(await response.json().catch(() => null));
  if (!read.success) throw new TrainingError("answer-invalid", "The server's answer has an unexpected form.", "Reload the page: the server may have been updated.");
  return read.data;
}

/** Asks for something to be done, whatever is answered. Throws {@link TrainingError}. */
export async function tell(path: string, body: Body & { method: "POST" | "PATCH" | "DELETE" }): Promise<void> {
  await (await request(path, body)).body?.cancel();
}

/** Follows the events of a check or a preparation to their end. Throws {@link TrainingError} when the stream breaks off. */
export async function follow(path: string, onEvent: (event: NodeStreamEvent) => void, signal: AbortSignal): Promise<void> {
  const response = await request(path, { method: "POST", signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  let ended = false;
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) break;
    const events = (held + value).split("\n\n");
    held = events.pop() ?? "";
    for (const text of events) {
      const data = text.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trimStart()] : []));
      if (data.length === 0) continue;
      const event = nodeStreamEventSchema.safeParse(JSON.parse(data.join("\n")));
      if (!event.success) continue;
      ended = event.data.type === "done" || event.data.type === "error";
      onEvent(event.data);
    }
  }
  if (!ended) throw new TrainingError("stream-ended", "The server ended the stream before it was done.", "Try again.");
}
