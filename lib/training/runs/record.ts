/** A run as its directory tells it: what the index keeps, and what the table of runs shows. */
import { z } from "zod";
import type { RunRow } from "@/lib/db/rows";
import { runStateSchema, type RunState, type RunSummary } from "../types";
import { digestSchema, type Digest } from "./digest";
import type { ListedRun } from "./files";
import { notesSchema } from "./notes";

/** The part of a run's summary that comes from its directory alone. */
export type RunRecord = Required<Omit<RunSummary, "launch" | "stopping" | "readOnly" | "exported" | "stale">>;

/** Seconds by which a node's clock may be ahead before it is worth saying. */
const CLOCK_AHEAD = 120;
/** Seconds that a launch may take until there is a status. */
const LAUNCH_TIME = 120;

const text = z.string().nullish().catch(null);
const number = z.number().nullish().catch(null);

const statusSchema = z.object({
  state: z.string(),
  updated: number,
  started: number,
  step: number,
  steps: number,
  tokens: number,
  phase: text,
  phase_index: number,
  phases: number,
  message: text,
  action: text,
});
const jobSchema = z.object({
  name: text,
  created: number,
  family: text,
  preset: text,
  steps: z.array(z.object({ name: z.string(), title: z.string() })).catch([]),
  launcher: z.object({ kind: z.string() }).nullish().catch(null),
});
const configSchema = z.object({
  name: text,
  family: text,
  method: text,
  pattern: text,
  layers: z.array(z.number().int()).nullish().catch(null),
  stages: z
    .array(z.object({ method: text, pattern: text, layers: z.array(z.number().int()).nullish().catch(null), optimiser: z.object({ steps: number }).nullish().catch(null) }))
    .nullish()
    .catch(null),
  optimiser: z.object({ steps: number }).nullish().catch(null),
});

/** What the small files of a run hold; null where one is missing or cannot be read. */
export interface RunDocuments {
  status: unknown;
  config: unknown;
  job: unknown;
  notes: unknown;
}

export interface RunParts extends RunDocuments {
  node: string;
  listed: ListedRun;
  digest: Digest;
  /** Seconds since 1970 by this machine's clock. */
  now: number;
}

/**
 * The state to show. A run that says it runs, but whose process or job is gone, was interrupted; liveness alone decides, never
 * a clock, but for a launch that has not come to write a status.
 */
export function stateOf(status: string | null, { files, alive }: Pick<ListedRun, "files" | "alive">, now: number): RunState {
  const told = runStateSchema.safeParse(status).data;
  if (told === "running" || told === "queued") return alive === "gone" ? "interrupted" : told;
  if (told) return told;
  if (alive === "alive") return "queued";
  const age = now - (files["job.json"]?.mtime ?? -Infinity);
  return files["job.json"] && alive !== "gone" && age < LAUNCH_TIME ? "queued" : "interrupted";
}

/** Reads a run's documents into its record. */
export function recordOf({ node, listed, digest, now, ...documents }: RunParts): RunRecord {
  const status = statusSchema.safeParse(documents.status).data;
  const job = jobSchema.safeParse(documents.job).data;
  const config = configSchema.safeParse(documents.config).data;
  const { notes, tags } = notesSchema.parse(documents.notes);
  const state = stateOf(status?.state ?? null, listed, now);
  const stages = config?.stages ?? [];
  const index = status?.phase_index ?? null;
  const step = status?.step ?? digest.last?.step ?? 0;
  const steps = status?.steps ?? (stages.length > 0 ? sum(stages.map(({ optimiser }) => optimiser?.steps ?? config?.optimiser?.steps ?? 0)) : (config?.optimiser?.steps ?? 0));
  const touched = Math.max(0, ...Object.values(listed.files).map(({ mtime }) => mtime));
  const created = job?.created ?? digest.began ?? listed.files["config.json"]?.mtime ?? touched;
  const updated = status?.updated ?? touched;
  const layers = [...new Set([...(config?.layers ?? []), ...stages.flatMap((stage) => stage.layers ?? [])])].sort((a, b) => a - b);
  const training = !status?.phase || status.phase === "train";
  const active = state === "running" && training && digest.secondsPerStep !== null;
  return {
    node,
    id: listed.id,
    name: job?.name ?? config?.name ?? listed.id,
    family: job?.family ?? config?.family ?? null,
    method: config?.method ?? (stages.length > 0 ? [...new Set(stages.map(({ method }) => method ?? "distill"))].join(" → ") : null),
    preset: job?.preset ?? null,
    state,
    phase: status?.phase ?? null,
    phaseTitle: job?.steps.find(({ name }) => name === status?.phase)?.title ?? null,
    phaseIndex: index === null ? null : Math.trunc(index),
    phases: status?.phases === null || status?.phases === undefined ? null : Math.trunc(status.phases),
    step: Math.trunc(step),
    steps: Math.trunc(steps),
    tokens: status?.tokens ?? digest.last?.tokens ?? 0,
    created,
    started: status?.started ?? digest.began,
    updated,
    secondsLeft: active ? Math.max(0, steps - step) * (digest.secondsPerStep ?? 0) : null,
    latest: digest.latest,
    best: digest.best,
    curve: digest.curve,
    mambaLayers: config && (config.layers ?? stages.some((stage) => stage.layers)) ? layers : null,
    ...wordsOf(state, status, updated - now),
    launcher: job?.launcher?.kind ?? null,
    tags,
    notes,
  };
}

function wordsOf(state: RunState, status: z.infer<typeof statusSchema> | undefined, ahead: number): Pick<RunRecord, "message" | "action"> {
  if (state === "interrupted") {
    return status
      ? { message: "It was killed, or its machine was restarted.", action: "Resume goes on from the last checkpoint." }
      : { message: "It ended before it wrote a status.", action: "Read its log; restart it." };
  }
  if (status?.message) return { message: status.message, action: status.action ?? null };
  if ((state === "running" || state === "queued") && ahead > CLOCK_AHEAD) {
    return { message: `Its machine's clock is ${Math.round(ahead / 60)} min ahead of this one's.`, action: "Set the clocks of both machines by NTP; the run itself is not harmed." };
  }
  return { message: null, action: null };
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** The layer pattern's name in a config, for the index. */
function patternOf(config: unknown): string | null {
  const document = configSchema.safeParse(config).data;
  return document?.pattern ?? document?.stages?.find(({ pattern }) => pattern)?.pattern ?? null;
}

const detailsSchema = z.object({
  phase: z.string().nullable(),
  phaseTitle: z.string().nullable(),
  phaseIndex: z.number().nullable(),
  phases: z.number().nullable(),
  started: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  mambaLayers: z.array(z.number()).nullable(),
  message: z.string().nullable(),
  action: z.string().nullable(),
  launcher: z.string().nullable(),
  digest: digestSchema,
});

/** The row that keeps a record in the index. */
export function rowOf(record: RunRecord, digest: Digest, measured: RunRow["measured"], config: unknown): RunRow {
  const { phase, phaseTitle, phaseIndex, phases, started, secondsLeft, mambaLayers, message, action, launcher } = record;
  const details: z.infer<typeof detailsSchema> = { phase, phaseTitle, phaseIndex, phases, started, secondsLeft, mambaLayers, message, action, launcher, digest };
  return {
    node: record.node,
    id: record.id,
    name: record.name,
    state: record.state,
    created: record.created,
    updated: record.updated,
    method: record.method,
    family: record.family,
    pattern: patternOf(config),
    preset: record.preset,
    origin: null,
    step: record.step,
    steps: record.steps,
    tokens: record.tokens,
    lastLoss: digest.latest.loss ?? null,
    bestLoss: digest.best.loss ?? null,
    lastKl: digest.latest.kl ?? null,
    bestKl: digest.best.kl ?? null,
    notes: record.notes,
    tags: record.tags,
    details,
    measured,
  };
}

/** The record that a row keeps; null if an older program wrote it otherwise: the run's directory is then read again. */
export function recordOfRow(row: RunRow): { record: RunRecord; digest: Digest } | null {
  const details = detailsSchema.safeParse(row.details).data;
  if (!details) return null;
  const { digest, ...rest } = details;
  return {
    digest,
    record: {
      ...rest,
      node: row.node,
      id: row.id,
      name: row.name,
      family: row.family,
      method: row.method,
      preset: row.preset,
      state: row.state,
      step: row.step ?? 0,
      steps: row.steps ?? 0,
      tokens: row.tokens ?? 0,
      created: row.created,
      updated: row.updated,
      latest: digest.latest,
      best: digest.best,
      curve: digest.curve,
      tags: row.tags,
      notes: row.notes,
    },
  };
}

