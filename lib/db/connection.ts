/** Opens the dashboard's database, `<home>/mambascope.db`. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import path from "node:path";
import Database from "libsql";
import { DatabaseError } from "./errors";
import { migrate, migrations, versionOf } from "./migrations";

export type Db = Database.Database;

export interface OpenedDatabase {
  readonly db: Db;
  /** What the user should know: a damaged file was set aside. */
  readonly notice: string | null;
}

export const databaseName = "mambascope.db";
/** Milliseconds that a query waits for another program's write to end. */
const BUSY_TIMEOUT = 5000;

/**
 * The database of a home folder, made or brought up to date. A file that is damaged is renamed with the date, and a new one
 * made: its index of runs can be rebuilt. Throws DatabaseError if a newer program made it, or the folder cannot be written.
 */
export function openDatabase(home: string, now: () => Date = () => new Date()): OpenedDatabase {
  const file = path.join(/* turbopackIgnore: true */ home, databaseName);
  try {
    mkdirSync(/* turbopackIgnore: true */ home, { recursive: true });
    return { db: openFile(file), notice: null };
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    if (!isDamage(error)) throw unavailable(file, error);
  }
  try {
    const aside = setAside(file, now());
    return {
      db: openFile(file),
      notice: `The database was damaged and has been kept as ${path.basename(aside)}. A new one was made; "npm run index:rebuild" finds the runs again. SSH nodes have to be added again.`,
    };
  } catch (error) {
    throw unavailable(file, error);
  }
}

function openFile(file: string): Db {
  const db = new Database(file, { timeout: BUSY_TIMEOUT });
  try {
    db.pragma(`busy_timeout = ${BUSY_TIMEOUT}`);
    const version = versionOf(db);
    if (version > migrations.length) {
      throw new DatabaseError(
        "database-newer",
        `${file} was written by a newer version of Mambascope (format ${version}, this one knows ${migrations.length}).`,
        "Update Mambascope, or start it with another home folder: MAMBASCOPE_HOME=/some/folder npm start.",
      );
    }
    const check: unknown = db.prepare("PRAGMA quick_check(1)").raw().get();
    if (Array.isArray(check) && check[0] !== "ok") throw new DamagedError(String(check[0]));
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    db.pragma("foreign_keys = ON");
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

class DamagedError extends Error {}

function isDamage(error: unknown): boolean {
  if (error instanceof DamagedError) return true;
  const code = error instanceof Error ? String(Reflect.get(error, "code") ?? "") : "";
  return code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT");
}

function setAside(file: string, date: Date): string {
  const stamp = date.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  let aside = `${file}.damaged-${stamp}`;
  for (let n = 2; existsSync(/* turbopackIgnore: true */ aside); n++) aside = `${file}.damaged-${stamp}-${n}`;
  for (const part of ["", "-wal", "-shm"]) {
    if (existsSync(/* turbopackIgnore: true */ file + part)) renameSync(file + part, aside + part);
  }
  return aside;
}

function unavailable(file: string, cause: unknown): DatabaseError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DatabaseError(
    "database-unavailable",
    `${file} cannot be opened: ${reason}.`,
    "Check that the folder exists, belongs to you and has free space, and that no other program holds the file; then start again.",
    { cause },
  );
}

// Kept on globalThis, because each route may get its own copy of this module.
const store = globalThis as typeof globalThis & { mambascopeDatabases?: Map<string, OpenedDatabase> };

/** The one connection of this process to a home folder's database. */
export function databaseOf(home: string): OpenedDatabase {
  const opened = (store.mambascopeDatabases ??= new Map<string, OpenedDatabase>());
  const key = path.resolve(/* turbopackIgnore: true */ home);
  const known = opened.get(key);
  if (known) return known;
  const made = openDatabase(key);
  opened.set(key, made);
  return made;
}
