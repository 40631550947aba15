/** Run configs that were saved under a name. */
import type { Db } from "./connection";
import { fieldsOf, fromJson, parseRow } from "./query";
import { configurationRowSchema, type ConfigurationRow } from "./rows";

function configurationOf(row: unknown): ConfigurationRow {
  const fields = fieldsOf(row) ?? {};
  return parseRow(configurationRowSchema, "configurations", { ...fields, config: fromJson(fields.config) });
}

/** All saved configs, by name. */
export function listConfigurations(db: Db): ConfigurationRow[] {
  return db.prepare("SELECT * FROM configurations ORDER BY name COLLATE NOCASE").all().map(configurationOf);
}

/** Saves a config under a name; one of that name is replaced. `time` in seconds. */
export function saveConfiguration(db: Db, name: string, config: unknown, time: number, note = ""): ConfigurationRow {
  const row = db
    .prepare(
      `INSERT INTO configurations (name, config, note, created, updated) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET config = excluded.config, note = excluded.note, updated = excluded.updated RETURNING *`,
    )
    .get(name, JSON.stringify(config), note, time, time);
  return configurationOf(row);
}

/** Forgets a saved config; false if there is none. */
export function deleteConfiguration(db: Db, id: number): boolean {
  return db.prepare("DELETE FROM configurations WHERE id = ?").run(id).changes > 0;
}
