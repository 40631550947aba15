/** Makes the index of runs again from what lies on this machine: its run directories, and the copies of other nodes' runs. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { openDatabase, type Db } from "@/lib/db/connection";
import { listNodes } from "@/lib/db/nodes";
import type { NodeRow, RunRow } from "@/lib/db/rows";
import { replaceRuns } from "@/lib/db/runs";
import type { RunSource } from "../runs/files";
import { localLiveness } from "../runs/liveness";
import { LocalRunFiles, LocalRunSource } from "../runs/local-files";
import { OpenedRun } from "../runs/opened-runs";
import { RunState } from "./run-state";

export interface Rebuilt {
  notice: string | null;
  nodes: { node: string; runs: number }[];
  /** What could not be read. */
  problems: string[];
}

/** Rebuilds the index in the database of a home folder. Throws DatabaseError if it cannot be used. */
export async function rebuildIndex(home: string, project: string): Promise<Rebuilt> {
  const { db, notice } = openDatabase(home);
  try {
    return { notice, ...(await rebuild(db, home, project)) };
  } finally {
    db.close();
  }
}

async function rebuild(db: Db, home: string, project: string): Promise<Omit<Rebuilt, "notice">> {
  const nodes: Rebuilt["nodes"] = [];
  const problems: string[] = [];
  for (const { id, kind } of listNodes(db)) {
    const rows = await rowsOf(sourceOf(kind, id, home, project), problems);
    replaceRuns(db, id, rows);
    nodes.push({ node: id, runs: rows.length });
  }
  const known = new Set(nodes.map(({ node }) => node));
  for (const folder of await readdir(/* turbopackIgnore: true */ path.join(home, "mirror")).catch(() => [])) {
    if (!known.has(folder)) problems.push(`There are copies of runs of a node "${folder}" that is not known: add it again to see them.`);
  }
  return { nodes, problems };
}

function sourceOf(kind: NodeRow["kind"], id: string, home: string, project: string): RunSource {
  if (kind === "shipped") return new LocalRunSource(id, path.join(/* turbopackIgnore: true */ project, "results", "runs"), null);
  if (kind === "ssh") return new LocalRunSource(id, path.join(/* turbopackIgnore: true */ home, "mirror", id), null);
  const folder = path.join(/* turbopackIgnore: true */ home, "runs");
  return new LocalRunSource(id, folder, localLiveness(new LocalRunFiles(folder)));
}

/** The rows of all runs of a source, each read whole. */
export async function rowsOf(source: RunSource, problems: string[], now = Date.now() / 1000): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  for (const listed of await source.list()) {
    try {
      const state = new RunState(source.node, source.files);
      await state.look(listed, now);
      if (state.unmeasured) {
        const opened = new OpenedRun(source.files, listed.id, () => undefined);
        await opened.refresh();
        state.measure(opened, now);
      }
      const row = state.row();
      if (row) rows.push(row);
    } catch (error) {
      problems.push(`${source.node}: ${listed.id} cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
    }
  }
  return rows;
}
