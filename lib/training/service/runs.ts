/** Runs as the pages see them: what their directories tell, with what this server knows of them besides. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { getSetting } from "@/lib/db/settings";
import { archive, listFolder, writeFile } from "../hosts/files";
import { commandsOf } from "./run-commands";
import { answerMetrics } from "../runs/metrics-answer";
import { notesSchema } from "../runs/notes";
import type { OpenedRuns } from "../runs/opened-runs";
import type { RunRecord } from "../runs/record";
import { readJson as readRunJson } from "../runs/files";
import { readLog, readSamples } from "../runs/tails";
import { configDocumentSchema, jobSchema, runDetailSchema, runIdSchema, type LogAnswer, type MetricsAnswer, type RunDetail, type RunPatch, type RunState, type RunSummary, type SamplesAnswer } from "../types";
import type { metricsQuerySchema } from "../types";
import { portableConfig } from "./config-folders";
import { nodeRow, now, placesOf, writableNode, type Core } from "./core";
import { notFound, ServiceError } from "./errors";
import type { Exports } from "./exports";
import type { Follow } from "./follow";
import type { Launches } from "./launches";
import type { Nodes } from "./nodes";
import type { Sources } from "./sources";

export type RunFilter = { node?: string | undefined; state?: RunState | undefined; tag?: string | undefined; family?: string | undefined };

/** A launch that was prepared by a server which is gone: nobody wrote its status for so long. */
const abandonedSeconds = 90;

export class Runs {
  constructor(
    private readonly core: Core,
    private readonly sources: Sources,
    private readonly opened: OpenedRuns,
    private readonly parts: { nodes: Nodes; follow: Follow; launches: Launches; exports: Exports },
  ) {}

  /** Runs of all nodes, newest first: those of nodes that are away as they were last seen. */
  async list(filter: RunFilter = {}): Promise<RunSummary[]> {
    const records = await this.parts.follow.records(filter.node);
    const summaries = await Promise.all(records.map((record) => this.summaryOf(record)));
    const fits = (run: RunSummary) => (filter.state ?? run.state) === run.state && (filter.family ?? run.family) === run.family && (filter.tag === undefined || run.tags.includes(filter.tag));
    return summaries.filter(fits).sort((a, b) => b.created - a.created || a.id.localeCompare(b.id));
  }

  /** One run's summary. Throws ServiceError `not-found`. */
  async summary(node: string, id: string): Promise<RunSummary> {
    nodeRow(this.core, node);
    const record = await this.parts.follow.record(node, id);
    if (!record) throw notFound(`run ${id} on this node`);
    return this.summaryOf(record);
  }

  /** What a record says, with what this server does with the run. */
  async summaryOf(record: RunRecord): Promise<RunSummary> {
    const { node, id } = record;
    const { launches, exports, follow } = this.parts;
    const readOnly = nodeRow(this.core, node).kind === "shipped";
    const launch = launches.progressOf(node, id);
    const failure = launches.failureOf(node, id);
    const over = record.state !== "running" && record.state !== "queued";
    if (over) launches.ended(node, id);
    const exported = readOnly ? await exports.shippedOf(id, record.family) : await exports.exportedOf(id, record.family);
    const common = { ...record, launch, stopping: launches.isStopping(node, id), readOnly, exported, stale: follow.isStale(node) };
    if (launch) return { ...common, state: "queued", message: null, action: null };
    if (failure && record.state === "queued") return { ...common, state: "failed", ...failure };
    if (record.state === "queued" && now() - record.updated > abandonedSeconds && !(await this.wasLaunched(node, id))) {
      return { ...common, state: "interrupted", message: "Its preparation was cut off: the dashboard that did it ended.", action: "Resume it." };
    }
    return common;
  }

  /** All of a run but its measures. */
  async detail(node: string, id: string): Promise<RunDetail> {
    const summary = await this.summary(node, id);
    const { files } = this.sources.of(nodeRow(this.core, node));
    const [config, job, evaluation] = await Promise.all([
      readRunJson(files, id, "config.json").then((value) => configDocumentSchema.safeParse(value).data ?? null),
      readRunJson(files, id, "job.json").then((value) => jobSchema.safeParse(value).data ?? null),
      readRunJson(files, id, "evaluation.json").then((value) => runDetailSchema.shape.evaluation.safeParse(value).data ?? null),
    ]);
    const { folder, entries } = await this.folderOf(node, id);
    const places = this.placesOf(node);
    const portable = config && places ? portableConfig(config, places) : config;
    return {
      ...summary,
      ...{ config: portable, job, evaluation, folder },
      files: entries.filter((entry) => !entry.path.startsWith("checkpoints/") && !entry.path.startsWith(".")),
      bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
      checkpoints: checkpointsIn(entries),
      links: summary.exported ? await this.parts.exports.linksOf(summary.exported) : null,
      commands: portable ? commandsOf(portable, job, id, this.parts.nodes.get(node).facts?.gpus.length ?? null) : [],
    };
  }

  /** Series of a run's measures. */
  async metrics(node: string, id: string, query: z.output<typeof metricsQuerySchema>): Promise<MetricsAnswer> {
    const { files } = this.filesOf(node);
    return answerMetrics(this.opened.open(node, id, files), node, id, query);
  }

  async log(node: string, id: string, from: number): Promise<LogAnswer> {
    return readLog(this.filesOf(node).files, id, from);
  }

  async samples(node: string, id: string): Promise<SamplesAnswer> {
    return readSamples(this.filesOf(node).files, id);
  }

  /** Writes notes and tags into the run's directory, where a new index finds them. */
  async patch(node: string, id: string, patch: RunPatch): Promise<RunSummary> {
    writableNode(this.core, node);
    const before = notesSchema.parse(await readRunJson(this.filesOf(node).files, id, "notes.json"));
    await this.summary(node, id);
    const next = { notes: patch.notes ?? before.notes, tags: patch.tags ? [...new Set(patch.tags)] : before.tags };
    await writeFile(await this.core.links.get(node), `runs/${id}/notes.json`, JSON.stringify(next));
    await this.parts.follow.look(node);
    return this.summary(node, id);
  }

  /** The run directory as tar.gz; without checkpoints, unless asked. */
  async download(node: string, id: string, checkpoints: boolean, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    await this.summary(node, id);
    if (nodeRow(this.core, node).kind === "shipped") throw new ServiceError(409, "read-only", "The histories that ship are not packed.", `They are in the project's folder results/runs/${id}.`);
    const connection = await this.core.links.get(node, signal);
    const through = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, { highWaterMark: 4 });
    const writer = through.writable.getWriter();
    const abort = new AbortController();
    // A reader who goes away ends the packing on the node.
    writer.closed.catch(() => abort.abort());
    signal.addEventListener("abort", () => abort.abort(), { once: true });
    archive(connection, `runs/${id}`, id, (chunk) => writer.ready.then(() => void writer.write(chunk).catch(() => undefined)), { without: checkpoints ? [] : ["checkpoints"], signal: abort.signal }).then(
      () => writer.close(),
      (error: unknown) => writer.abort(error),
    ).catch(() => undefined);
    return through.readable;
  }

  private filesOf(node: string) {
    return this.sources.of(nodeRow(this.core, node));
  }

  /** The folder of a run and its files; none where the node is away. */
  private async folderOf(node: string, id: string): Promise<{ folder: string; entries: { path: string; bytes: number }[] }> {
    const row = nodeRow(this.core, node);
    if (row.kind === "shipped") return { folder: `results/runs/${id}`, entries: await filesIn(path.join(/* turbopackIgnore: true */ this.core.project, "results", "runs", runIdSchema.parse(id))) };
    try {
      const connection = await this.core.links.getUnlessAway(node);
      const entries = await listFolder(connection, `runs/${id}`, true);
      return { folder: `${connection.hello.root}/runs/${id}`, entries: entries.filter(({ kind }) => kind === "file").map((entry) => ({ path: entry.path, bytes: entry.size })) };
    } catch {
      return { folder: `runs/${id}`, entries: [] };
    }
  }

  private async wasLaunched(node: string, id: string): Promise<boolean> {
    // A node that does not answer tells nothing new.
    return this.filesOf(node).files.stat(id, "launch.json").then((stat) => stat !== null, () => true);
  }

  /** The node's folders; null if it was never connected. */
  private placesOf(node: string): { root: string; shipped: string } | null {
    const { kind } = nodeRow(this.core, node);
    if (kind === "shipped") return { root: "data", shipped: "public/models" };
    const root = getSetting(this.core.db, rootKey(node), z.string().nullable(), null);
    if (root === null) return kind === "local" ? { root: this.core.home, shipped: placesOf(this.core).shipped } : null;
    return { root, shipped: kind === "local" ? placesOf(this.core).shipped : `${root}/shipped` };
  }
}

/** The setting that keeps a node's root, as its agent told it. */
export const rootKey = (node: string): string => `root:${node}`;

/** The files of a folder, without its folders. */
async function filesIn(folder: string): Promise<{ path: string; bytes: number }[]> {
  const names = await readdir(/* turbopackIgnore: true */ folder);
  return Promise.all(names.sort().map(async (name) => ({ path: name, bytes: (await stat(path.join(/* turbopackIgnore: true */ folder, name))).size })));
}

function checkpointsIn(entries: readonly { path: string }[]): string[] {
  const names = entries.flatMap((entry) => /^checkpoints\/(step-\d+)/.exec(entry.path)?.[1] ?? []);
  return [...new Set(names)];
}
