/**
 * What the training routes and the pages tell each other: nodes, runs, launches, measures, events. Pure: no node modules.
 * Times are seconds since 1970 (as in the run directory), sizes bytes, durations seconds.
 */
import { z } from "zod";

/** Ids made here are lower-case; a run directory made on a command line may have any plain name. */
export const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
export const nodeIdPattern = /^[a-z0-9][a-z0-9-]{0,39}$/;

export const runIdSchema = z.string().regex(runIdPattern, "letters, digits, dots, hyphens and underscores");
export const nodeIdSchema = z.string().regex(nodeIdPattern, "lower-case letters, digits and hyphens, at most 40");

/** The body of every answer that is an error. */
export const errorBodySchema = z.object({ code: z.string(), message: z.string(), action: z.string() });
export type ErrorBody = z.infer<typeof errorBodySchema>;

// ---- nodes ----

export const nodeKindSchema = z.enum(["local", "ssh", "shipped"]);
export type NodeKind = z.infer<typeof nodeKindSchema>;

export const checkNameSchema = z.enum(["connection", "python", "torch", "cuda", "gpus", "disk", "write", "slurm"]);

/** One step of a node's check; `running` while it goes on. */
export const nodeCheckStepSchema = z.object({
  name: checkNameSchema,
  title: z.string(),
  state: z.enum(["running", "ok", "warn", "fail", "skipped"]),
  detail: z.string(),
  action: z.string().optional(),
});
export type NodeCheckStep = z.infer<typeof nodeCheckStepSchema>;

export const gpuSchema = z.object({
  index: z.number().int(),
  name: z.string(),
  memoryBytes: z.number(),
  memoryFreeBytes: z.number(),
  utilisation: z.number().nullable(),
});
export type Gpu = z.infer<typeof gpuSchema>;

/** What the agent told of its machine when it was last asked. */
export const nodeFactsSchema = z.object({
  host: z.string(),
  /** The node's root folder, absolute. */
  root: z.string(),
  python: z.string(),
  cpus: z.number().int(),
  memoryBytes: z.number().nullable(),
  diskFreeBytes: z.number().nullable(),
  gpus: z.array(gpuSchema),
  /** torch's version in the environment that runs would use; null: none yet. */
  torch: z.string().nullable(),
  slurm: z.object({ version: z.string(), partitions: z.array(z.string()) }).nullable(),
  /** The node's clock minus the server's. */
  clockSkewSeconds: z.number(),
});
export type NodeFacts = z.infer<typeof nodeFactsSchema>;

export const environmentSchema = z.object({
  state: z.enum(["unknown", "missing", "preparing", "ready", "failed"]),
  detail: z.string(),
});
export type EnvironmentState = z.infer<typeof environmentSchema>;

export const trainingNodeSchema = z.object({
  id: nodeIdSchema,
  name: z.string(),
  kind: nodeKindSchema,
  /** `user@host` or an alias of the ssh config; null for this machine. */
  destination: z.string().nullable(),
  port: z.number().int().nullable(),
  identityFile: z.string().nullable(),
  /** As the user gave it; null: the default. */
  root: z.string().nullable(),
  python: z.string().nullable(),
  readOnly: z.boolean(),
  /** `idle`: nothing has needed it yet. `lost`: a connection broke and is being made again. */
  state: z.enum(["idle", "connecting", "connected", "lost", "failed"]),
  error: errorBodySchema.nullable(),
  facts: nodeFactsSchema.nullable(),
  environment: environmentSchema,
  checks: z.array(nodeCheckStepSchema),
  checkedAt: z.number().nullable(),
  /** Runs in the state `running` or `queued`. */
  active: z.number().int(),
});
export type TrainingNode = z.infer<typeof trainingNodeSchema>;

const destinationSchema = z
  .string()
  .trim()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@:[\]-]*$/, "user@host, or a name of your ssh config");
const rootSchema = z.string().regex(/^(~\/|\/)[^\0\n\r]*$/, "an absolute path, or one that starts with ~/").max(500);
const pythonSchema = z.string().regex(/^(\/[^\0\n\r]*|python3(\.\d{1,2})?)$/, "an absolute path, python3 or python3.x").max(500);
const identitySchema = z.string().regex(/^(~\/|\/)[^\0\n\r]*$/, "an absolute path, or one that starts with ~/").max(500);

export const addNodeSchema = z.strictObject({
  name: z.string().trim().min(1).max(60),
  kind: z.literal("ssh"),
  destination: destinationSchema,
  port: z.number().int().min(1).max(65535).nullish(),
  identityFile: identitySchema.nullish(),
  root: rootSchema.nullish(),
  python: pythonSchema.nullish(),
});
export type AddNode = z.infer<typeof addNodeSchema>;

/** What may change of a node; of this machine only the Python. */
export const updateNodeSchema = addNodeSchema.omit({ kind: true }).partial();
export type UpdateNode = z.infer<typeof updateNodeSchema>;

/** Streams of `check` and `prepare`: server-sent events, the last one is `done` or `error`. */
export const nodeStreamEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("check"), step: nodeCheckStepSchema }),
  /** `total` 0: not known. */
  z.object({ type: z.literal("progress"), phase: z.string(), message: z.string(), done: z.number(), total: z.number() }),
  z.object({ type: z.literal("done"), message: z.string(), node: trainingNodeSchema.optional() }),
  z.object({ type: z.literal("error"), code: z.string(), message: z.string(), action: z.string() }),
]);
export type NodeStreamEvent = z.infer<typeof nodeStreamEventSchema>;

// ---- jobs ----

export const jobStepSchema = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  title: z.string(),
  /** Arguments after `python -m mambascope_trainer`; `{run}`, `{root}`, `{shipped}`, `{trainer}` are replaced on the node. */
  argv: z.array(z.string()).min(1),
  /** A path whose presence makes the step unnecessary. */
  skip_if: z.string().nullish(),
  processes: z.union([z.literal("gpu"), z.number().int().min(1)]).optional(),
});
export type JobStep = z.infer<typeof jobStepSchema>;

const slurmName = z.string().regex(/^[A-Za-z0-9_.,:@=+&|*!()[\]-]{1,120}$/, "letters, digits and _ . , - : @ = + & | * ! ( ) [ ]");

export const launcherSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("process"), gpus: z.union([z.enum(["all", "none"]), z.array(z.number().int().nonnegative()).min(1)]) }),
  z.strictObject({
    kind: z.literal("slurm"),
    nodes: z.number().int().min(1).max(1024),
    gpusPerNode: z.number().int().min(0).max(64),
    partition: slurmName.optional(),
    account: slurmName.optional(),
    qos: slurmName.optional(),
    time: z.string().regex(/^(\d+-)?\d{1,3}:\d{2}:\d{2}$/, "HH:MM:SS or D-HH:MM:SS").optional(),
    cpusPerTask: z.number().int().min(1).max(1024).optional(),
    memory: z.string().regex(/^\d+[KMGT]?$/, "a number with K, M, G or T").optional(),
    constraint: slurmName.optional(),
  }),
]);
export type Launcher = z.infer<typeof launcherSchema>;

/** `job.json`: what a run does, written once at launch. */
export const jobSchema = z.object({
  version: z.literal(1),
  id: runIdSchema,
  name: z.string(),
  created: z.number(),
  family: z.string(),
  preset: z.string().nullable(),
  steps: z.array(jobStepSchema).min(1),
  launcher: launcherSchema,
});
export type Job = z.infer<typeof jobSchema>;

/** A run config or a pipeline, as the trainer reads it; lib/training/config checks it. */
export const configDocumentSchema = z.record(z.string(), z.unknown());
export type ConfigDocument = z.infer<typeof configDocumentSchema>;

export const launchRequestSchema = z.strictObject({
  node: nodeIdSchema,
  name: z.string().trim().min(1).max(80),
  config: configDocumentSchema,
  launcher: launcherSchema.default({ kind: "process", gpus: "all" }),
  preset: z.string().max(80).nullish(),
  /** What comes before and after training; what is left out is made from the config and the preset. */
  steps: z.array(jobStepSchema).min(1).max(12).optional(),
  tags: z.array(z.string().trim().min(1).max(40)).max(20).optional(),
  notes: z.string().max(20000).optional(),
});
export type LaunchRequest = z.input<typeof launchRequestSchema>;

export const launchAnswerSchema = z.object({ node: nodeIdSchema, id: runIdSchema });

/** Resume goes on from the last checkpoint. `restart` of a run makes a new one: with its config, from step zero. */
export const restartRequestSchema = z.strictObject({ name: z.string().trim().min(1).max(80).optional() });

// ---- runs ----

/** `interrupted` is derived: the run directory says it runs, but its process or job is gone. */
export const runStateSchema = z.enum(["queued", "running", "stopped", "finished", "failed", "interrupted"]);
export type RunState = z.infer<typeof runStateSchema>;

/** What the server does for a run before the node runs it; null once the node has it. */
export const launchProgressSchema = z.object({
  phase: z.string(),
  message: z.string(),
  done: z.number(),
  total: z.number(),
});
export type LaunchProgress = z.infer<typeof launchProgressSchema>;

export const exportedSchema = z.object({ family: z.string(), variant: z.string(), draft: z.boolean() });
export type Exported = z.infer<typeof exportedSchema>;

export const runSummarySchema = z.object({
  node: nodeIdSchema,
  id: runIdSchema,
  name: z.string(),
  family: z.string().nullable(),
  method: z.string().nullable(),
  preset: z.string().nullable(),
  state: runStateSchema,
  /** The job's step under way, such as `train`; null for a run without a job. */
  phase: z.string().nullable(),
  phaseTitle: z.string().nullable(),
  phaseIndex: z.number().int().nullable(),
  phases: z.number().int().nullable(),
  /** Training steps. */
  step: z.number().int(),
  steps: z.number().int(),
  tokens: z.number(),
  created: z.number(),
  started: z.number().nullable(),
  updated: z.number(),
  /** Estimated seconds to the end of training; null when not known. */
  secondsLeft: z.number().nullable(),
  /** Newest values of a few measures: loss, kl, ce, agreement, tokens_per_second. */
  latest: z.record(z.string(), z.number()),
  /** Lowest evaluated (else trained) `kl` and `loss` so far; what the runs table shows as best. */
  best: z.record(z.string(), z.number()).optional(),
  /** About 40 training losses over the whole run, oldest first: the table's sparkline. */
  curve: z.array(z.number()).optional(),
  /** The config's `layers` (those that become Mamba), of all stages; null where it has none, as in pretraining. */
  mambaLayers: z.array(z.number().int()).nullable().optional(),
  message: z.string().nullable(),
  action: z.string().nullable(),
  launcher: z.string().nullable(),
  launch: launchProgressSchema.nullable(),
  /** Asked to stop, and not yet stopped. */
  stopping: z.boolean(),
  tags: z.array(z.string()),
  notes: z.string(),
  readOnly: z.boolean(),
  /** Where its bundle is in the home folder; null: not exported. */
  exported: exportedSchema.nullable(),
  /** The node cannot be reached: this is what was last seen. */
  stale: z.boolean(),
});
export type RunSummary = z.infer<typeof runSummarySchema>;

export const runFileSchema = z.object({ path: z.string(), bytes: z.number() });

export const runDetailSchema = runSummarySchema.extend({
  config: configDocumentSchema.nullable(),
  job: jobSchema.nullable(),
  /** `evaluation.json`: records of the evaluate command. */
  evaluation: z.array(z.record(z.string(), z.unknown())).nullable(),
  files: z.array(runFileSchema),
  /** Size of the run directory with its checkpoints. */
  bytes: z.number(),
  checkpoints: z.array(z.string()),
  /** Pages that open what the run made; null until it is exported. */
  links: z.object({ explore: z.string().nullable(), chat: z.string().nullable(), speculate: z.string().nullable() }).nullable(),
  /** The same run on a command line, one command a line. */
  commands: z.array(z.string()),
  /** Where the run directory lies on its node. */
  folder: z.string(),
});
export type RunDetail = z.infer<typeof runDetailSchema>;

export const runPatchSchema = z
  .strictObject({
    notes: z.string().max(20000).optional(),
    tags: z.array(z.string().trim().min(1).max(40)).max(20).optional(),
  })
  .refine((patch) => patch.notes !== undefined || patch.tags !== undefined, "give notes or tags");
export type RunPatch = z.infer<typeof runPatchSchema>;

/** Columns of equal length: one row a point; `low` and `high` are the extremes of the points that it stands for. */
export const seriesSchema = z.object({
  measure: z.string(),
  kind: z.enum(["train", "eval"]),
  step: z.array(z.number()),
  tokens: z.array(z.number()),
  time: z.array(z.number()),
  value: z.array(z.number().nullable()),
  low: z.array(z.number().nullable()),
  high: z.array(z.number().nullable()),
});
export type Series = z.infer<typeof seriesSchema>;

export const metricsAnswerSchema = z.object({
  node: nodeIdSchema,
  id: runIdSchema,
  /** Changes when the file was rewritten: what was read before is void. */
  generation: z.string(),
  /** All measures that the run has, by kind. */
  measures: z.object({ train: z.array(z.string()), eval: z.array(z.string()) }),
  /** Lines of metrics in the file. */
  rows: z.number().int(),
  first: z.object({ step: z.number(), time: z.number(), tokens: z.number() }).nullable(),
  last: z.object({ step: z.number(), time: z.number(), tokens: z.number() }).nullable(),
  series: z.array(seriesSchema),
  /** Bytes read of how many, while a long file is being read: until then the series stand for lines at even distances. */
  loading: z.object({ read: z.number(), size: z.number() }).nullish(),
  /** Lines that could not be read. */
  skipped: z.number().int().optional(),
});
export type MetricsAnswer = z.infer<typeof metricsAnswerSchema>;

/** `measures`: names joined by commas; `align.*` names all that start so; none: losses and rates, without layers. `from`, `to`: on `axis`. */
export const metricsQuerySchema = z.object({
  measures: z.string().max(4000).optional(),
  kind: z.enum(["train", "eval"]).optional(),
  axis: z.enum(["step", "tokens", "time"]).optional(),
  from: z.coerce.number().optional(),
  to: z.coerce.number().optional(),
  points: z.coerce.number().int().min(2).max(20000).default(1000),
});
export type MetricsQuery = z.input<typeof metricsQuerySchema>;

/** `from`: byte offset; below zero: that many bytes before the end. */
export const logAnswerSchema = z.object({ from: z.number(), to: z.number(), size: z.number(), generation: z.string(), text: z.string() });
export type LogAnswer = z.infer<typeof logAnswerSchema>;

export const sampleSchema = z.object({
  step: z.number(),
  prompt: z.string(),
  text: z.string(),
  teacher: z.string().nullable(),
});
export type Sample = z.infer<typeof sampleSchema>;
export const samplesAnswerSchema = z.object({ samples: z.array(sampleSchema), total: z.number() });
export type SamplesAnswer = z.infer<typeof samplesAnswerSchema>;

export const trashEntrySchema = z.object({
  node: nodeIdSchema,
  /** The folder's name in the node's trash. */
  entry: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,159}$/),
  id: runIdSchema,
  name: z.string(),
  deleted: z.number(),
  bytes: z.number(),
});
export type TrashEntry = z.infer<typeof trashEntrySchema>;

// ---- estimates ----

export const estimateRequestSchema = z.strictObject({
  config: configDocumentSchema,
  node: nodeIdSchema,
  launcher: launcherSchema.default({ kind: "process", gpus: "all" }),
});

/** One thing that is wrong with a config; `path` is empty for the whole. */
export const configProblemSchema = z.object({ path: z.string(), message: z.string(), severity: z.enum(["error", "warning"]) });
export type ConfigProblem = z.infer<typeof configProblemSchema>;

export const estimateSchema = z.object({
  tokens: z.number(),
  seconds: z.number().nullable(),
  memoryBytes: z.number().nullable(),
  diskBytes: z.number().nullable(),
  /** What the estimate rests on, in words. */
  basis: z.string(),
  problems: z.array(configProblemSchema),
});
export type Estimate = z.infer<typeof estimateSchema>;

/** A speed that a run of this project measured. `shape` names what it depends on (family, method, pattern, length, batch). */
export const benchmarkSchema = z.object({
  shape: z.string(),
  /** GPU's name, or `cpu`. */
  device: z.string(),
  devices: z.number().int(),
  tokensPerSecond: z.number(),
  memoryGib: z.number().nullable(),
  run: z.string(),
  measured: z.number(),
});
export type Benchmark = z.infer<typeof benchmarkSchema>;

export const savedConfigurationSchema = z.object({
  id: z.number().int(),
  name: z.string(),
  config: configDocumentSchema,
  note: z.string(),
  created: z.number(),
  updated: z.number(),
});
export type SavedConfiguration = z.infer<typeof savedConfigurationSchema>;

// ---- events ----

const ofRun = { node: nodeIdSchema, id: runIdSchema };

/**
 * `GET /api/training/events?node=&run=`: every `data:` line is one of these. `run`, `node` and `launch` come to all;
 * `metrics`, `log` and `samples` to those who asked for that run.
 */
export const trainingEventSchema = z.discriminatedUnion("type", [
  /** First of a stream; `resumed`: nothing was missed since the Last-Event-ID. If false, read again what is shown. */
  z.object({ type: z.literal("hello"), time: z.number(), resumed: z.boolean() }),
  z.object({ type: z.literal("node"), node: trainingNodeSchema }),
  z.object({ type: z.literal("node-removed"), id: nodeIdSchema }),
  z.object({ type: z.literal("run"), run: runSummarySchema }),
  z.object({ type: z.literal("run-removed"), ...ofRun }),
  z.object({ type: z.literal("launch"), ...ofRun, progress: launchProgressSchema.nullable() }),
  /** New lines of metrics.jsonl. `reset`: the file was rewritten. More lines than `rows` may have come: `total` says how many there are. */
  z.object({
    type: z.literal("metrics"),
    ...ofRun,
    generation: z.string(),
    reset: z.boolean(),
    total: z.number(),
    rows: z.array(z.looseObject({ kind: z.string(), step: z.number(), tokens: z.number(), time: z.number() })),
  }),
  z.object({ type: z.literal("log"), ...ofRun, from: z.number(), to: z.number(), text: z.string() }),
  z.object({ type: z.literal("samples"), ...ofRun, samples: z.array(sampleSchema) }),
]);
export type TrainingEvent = z.infer<typeof trainingEventSchema>;

// ---- lists ----

export const nodesAnswerSchema = z.object({ nodes: z.array(trainingNodeSchema) });
export const runsAnswerSchema = z.object({ runs: z.array(runSummarySchema) });
export const trashAnswerSchema = z.object({ entries: z.array(trashEntrySchema) });
export const configurationsAnswerSchema = z.object({ configurations: z.array(savedConfigurationSchema) });
