/** The index of runs: what the table of runs shows without opening any of them. */
import type { Db } from "./connection";
import { fieldsOf, fromJson, parseRow } from "./query";
import { runRowSchema, type RunRow } from "./rows";

const columns = `node, id, name, state, created, updated, method, family, pattern, preset, origin, step, steps, tokens,
  last_loss AS lastLoss, best_loss AS bestLoss, last_kl AS lastKl, best_kl AS bestKl, notes, tags, details, measured`;

function runOf(row: unknown): RunRow {
  const fields = fieldsOf(row) ?? {};
  return parseRow(runRowSchema, "runs", { ...fields, tags: fromJson(fields.tags), details: fromJson(fields.details), measured: fromJson(fields.measured) });
}

/** The runs of one node, or of all, newest first. */
export function listRuns(db: Db, node?: string): RunRow[] {
  const order = "ORDER BY created DESC, node, id";
  const rows =
    node === undefined
      ? db.prepare(`SELECT ${columns} FROM runs ${order}`).all()
      : db.prepare(`SELECT ${columns} FROM runs WHERE node = ? ${order}`).all(node);
  return rows.map(runOf);
}

/** One run, or null. */
export function getRun(db: Db, node: string, id: string): RunRow | null {
  const row = db.prepare(`SELECT ${columns} FROM runs WHERE node = ? AND id = ?`).get(node, id);
  return row === undefined ? null : runOf(row);
}

/** Writes a run's row, new or not. */
export function putRun(db: Db, run: RunRow): void {
  db.prepare(
    `INSERT OR REPLACE INTO runs (node, id, name, state, created, updated, method, family, pattern, preset, origin,
       step, steps, tokens, last_loss, best_loss, last_kl, best_kl, notes, tags, details, measured)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    run.node,
    run.id,
    run.name,
    run.state,
    run.created,
    run.updated,
    run.method,
    run.family,
    run.pattern,
    run.preset,
    run.origin,
    run.step,
    run.steps,
    run.tokens,
    run.lastLoss,
    run.bestLoss,
    run.lastKl,
    run.bestKl,
    run.notes,
    JSON.stringify(run.tags),
    JSON.stringify(run.details),
    run.measured === null ? null : JSON.stringify(run.measured),
  );
}

/** Writes and removes rows of a node in one transaction. */
export function changeRuns(db: Db, node: string, put: readonly RunRow[], removed: readonly string[]): void {
  const remove = db.prepare("DELETE FROM runs WHERE node = ? AND id = ?");
  db.transaction(() => {
    for (const id of removed) remove.run(node, id);
    for (const run of put) putRun(db, run);
  }).immediate();
}

/** Replaces all rows of a node. */
export function replaceRuns(db: Db, node: string, runs: readonly RunRow[]): void {
  db.transaction(() => {
    db.prepare("DELETE FROM runs WHERE node = ?").run(node);
    for (const run of runs) putRun(db, run);
  }).immediate();
}
