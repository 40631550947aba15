/** Reading and writing small files of a run directory through a node's connection. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { readAnswerSchema } from "../agent/protocol";
import type { AgentConnection } from "../hosts/connection";
import { NodeError } from "../hosts/errors";

const longestFile = 16 * 1024 * 1024;

/** A file's bytes as text, or null if it is absent. Rejects with NodeError. */
export async function readText(connection: AgentConnection, path: string): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  try {
    await connection.ask(readAnswerSchema, "read", { path, length: longestFile }, { onData: (chunk) => void chunks.push(chunk) });
  } catch (error) {
    if (error instanceof NodeError && error.code === "not-found") return null;
    throw error;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A JSON file, checked; null if it is absent or is not what the schema says. */
export async function readJson<T>(connection: AgentConnection, path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readText(connection, path);
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Replaces a file by rename. */
export async function writeJson(connection: AgentConnection, path: string, value: unknown): Promise<void> {
  await connection.call("write", { path, data: Buffer.from(JSON.stringify(value, null, 1)).toString("base64") });
}

/** Makes a folder of these files, which appears whole. Rejects with NodeError `exists` if it is there already. */
export async function putFolder(connection: AgentConnection, path: string, files: Record<string, unknown>): Promise<void> {
  const entries = Object.entries(files).map(([name, value]) => ({ name, bytes: Buffer.from(JSON.stringify(value, null, 1)) }));
  const wanted = entries.map(({ name, bytes }) => ({ name, size: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") }));
  const { created } = await connection.ask(z.object({ created: z.boolean() }), "put", { path, mode: "new", files: wanted }, { input: entries.map(({ bytes }) => bytes) });
  if (!created) throw new NodeError("exists", `${path} exists already.`, "Choose another name.");
}
