import type { Db } from "./connection";

/**
 * The steps from an empty database to the present one, each run once, in order, in a transaction of its own. A step that has
 * been released is never changed: what comes later is a step of its own.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('local', 'ssh', 'shipped')),
    destination TEXT,
    port INTEGER,
    identity_file TEXT,
    root TEXT,
    python TEXT,
    created REAL NOT NULL,
    last_seen REAL,
    last_check TEXT,
    CHECK ((kind = 'ssh') = (destination IS NOT NULL))
  );
  INSERT INTO nodes (id, name, kind, created) VALUES ('local', 'This machine', 'local', 0), ('shipped', 'Shipped', 'shipped', 0);

  CREATE TABLE runs (
    node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    method TEXT,
    family TEXT,
    pattern TEXT,
    preset TEXT,
    origin TEXT,
    step INTEGER,
    steps INTEGER,
    tokens INTEGER,
    last_loss REAL,
    best_loss REAL,
    last_kl REAL,
    best_kl REAL,
    notes TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]',
    details TEXT NOT NULL DEFAULT '{}',
    measured TEXT,
    PRIMARY KEY (node, id)
  ) WITHOUT ROWID;
  CREATE INDEX runs_by_creation ON runs (created DESC);

  CREATE TABLE configurations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    config TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL,
    updated REAL NOT NULL
  );

  CREATE TABLE benchmarks (
    node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    shape TEXT NOT NULL,
    tokens_per_second REAL NOT NULL CHECK (tokens_per_second > 0),
    memory_bytes REAL,
    source TEXT NOT NULL,
    measured REAL NOT NULL,
    PRIMARY KEY (node, shape)
  ) WITHOUT ROWID;

  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  `,
];

/** The version of a database: how many steps it has seen. */
export function versionOf(db: Db): number {
  const row: unknown = db.pragma("user_version", { simple: true });
  const value = typeof row === "object" && row !== null ? Reflect.get(row, "user_version") : row;
  return typeof value === "number" ? value : 0;
}

/**
 * Runs the steps that the database has not seen. Two programs may do so at once: each step takes the write lock and looks at
 * the version again. A step that fails leaves the database at the version before it.
 */
export function migrate(db: Db, steps: readonly string[] = migrations): void {
  const apply = db.transaction((index: number) => {
    const script = steps[index];
    if (versionOf(db) !== index || script === undefined) return;
    db.exec(script);
    db.exec(`PRAGMA user_version = ${index + 1}`);
  });
  for (let index = versionOf(db); index < steps.length; index++) apply.immediate(index);
}
