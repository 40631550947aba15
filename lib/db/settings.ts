import type { z } from "zod";
import type { Db } from "./connection";
import { fieldsOf, fromJson } from "./query";

/** A setting, or `fallback` if it was never set or is not what the schema asks for. */
export function getSetting<T extends z.ZodType>(db: Db, key: string, schema: T, fallback: z.infer<T>): z.infer<T> {
  const row = fieldsOf(db.prepare("SELECT value FROM settings WHERE key = ?").get(key));
  const parsed = row ? schema.safeParse(fromJson(row.value)) : null;
  return parsed?.success ? parsed.data : fallback;
}

/** Sets a setting; null forgets it. */
export function putSetting(db: Db, key: string, value: unknown): void {
  if (value === null) db.prepare("DELETE FROM settings WHERE key = ?").run(key);
  else db.prepare("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)").run(key, JSON.stringify(value));
}
