/** Rates that were measured, for estimates. */
import type { Db } from "./connection";
import { fieldsOf, parseRow } from "./query";
import { benchmarkRowSchema, type BenchmarkRow } from "./rows";

const columns = "node, shape, tokens_per_second AS tokensPerSecond, memory_bytes AS memoryBytes, source, measured";
const benchmarkOf = (row: unknown): BenchmarkRow => parseRow(benchmarkRowSchema, "benchmarks", fieldsOf(row));

/** A node's benchmarks, newest first. */
export function listBenchmarks(db: Db, node: string): BenchmarkRow[] {
  return db.prepare(`SELECT ${columns} FROM benchmarks WHERE node = ? ORDER BY measured DESC, shape`).all(node).map(benchmarkOf);
}

/** What was measured for a shape on a node, or null. */
export function getBenchmark(db: Db, node: string, shape: string): BenchmarkRow | null {
  const row = db.prepare(`SELECT ${columns} FROM benchmarks WHERE node = ? AND shape = ?`).get(node, shape);
  return row === undefined ? null : benchmarkOf(row);
}

/** Records a rate; an older one of the same node and shape gives way. */
export function putBenchmark(db: Db, row: BenchmarkRow): void {
  db.prepare("INSERT OR REPLACE INTO benchmarks (node, shape, tokens_per_second, memory_bytes, source, measured) VALUES (?, ?, ?, ?, ?, ?)").run(
    row.node,
    row.shape,
    row.tokensPerSecond,
    row.memoryBytes,
    row.source,
    row.measured,
  );
}
