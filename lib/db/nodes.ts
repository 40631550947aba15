/** The nodes that the user has added, and the two that are always there. */
import type { Db } from "./connection";
import { fieldsOf, fromJson, parseRow } from "./query";
import { nodeRowSchema, type NodeRow } from "./rows";

const columns = "id, name, kind, destination, port, identity_file AS identityFile, root, python, created, last_seen AS lastSeen, last_check AS lastCheck";

function nodeOf(row: unknown): NodeRow {
  const fields = fieldsOf(row) ?? {};
  return parseRow(nodeRowSchema, "nodes", { ...fields, lastCheck: fromJson(fields.lastCheck) });
}

/** All nodes: this machine, those that were added, the shipped histories. */
export function listNodes(db: Db): NodeRow[] {
  return db.prepare(`SELECT ${columns} FROM nodes ORDER BY kind = 'shipped', kind != 'local', created, id`).all().map(nodeOf);
}

/** One node, or null. */
export function getNode(db: Db, id: string): NodeRow | null {
  const row = db.prepare(`SELECT ${columns} FROM nodes WHERE id = ?`).get(id);
  return row === undefined ? null : nodeOf(row);
}

/** Writes a node, new or not; its runs and benchmarks stay. */
export function putNode(db: Db, node: NodeRow): void {
  db.prepare(
    `INSERT INTO nodes (id, name, kind, destination, port, identity_file, root, python, created, last_seen, last_check)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind, destination = excluded.destination, port = excluded.port,
       identity_file = excluded.identity_file, root = excluded.root, python = excluded.python, created = excluded.created,
       last_seen = excluded.last_seen, last_check = excluded.last_check`,
  ).run(
    node.id,
    node.name,
    node.kind,
    node.destination,
    node.port,
    node.identityFile,
    node.root,
    node.python,
    node.created,
    node.lastSeen,
    node.lastCheck === null || node.lastCheck === undefined ? null : JSON.stringify(node.lastCheck),
  );
}

/** Notes when a node answered last. */
export function markSeen(db: Db, id: string, time: number): void {
  db.prepare("UPDATE nodes SET last_seen = ? WHERE id = ?").run(time, id);
}

/** Forgets an SSH node with its part of the index; false if there is none. The other kinds stay. */
export function deleteNode(db: Db, id: string): boolean {
  return db.prepare("DELETE FROM nodes WHERE id = ? AND kind = 'ssh'").run(id).changes > 0;
}
