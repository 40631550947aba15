import type { z } from "zod";
import { DatabaseError } from "./errors";

/** A row that was read, checked. Throws DatabaseError naming the table and the fault. */
export function parseRow<T extends z.ZodType>(schema: T, table: string, row: unknown): z.infer<T> {
  const parsed = schema.safeParse(row);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new DatabaseError(
    "database-row",
    `A row of the table ${table} cannot be used: ${faults}.`,
    'For the table "runs", "npm run index:rebuild" makes it again; else correct the row with the sqlite3 program.',
  );
}

/** A column that holds JSON, or null. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== "string") return null;
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

/** A row's fields, or null if there was no row. */
export function fieldsOf(row: unknown): Record<string, unknown> | null {
  return typeof row === "object" && row !== null ? { ...row } : null;
}
