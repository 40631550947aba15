/** The database's rows as the program sees them. Pure: pages may import it. */
import { z } from "zod";

export const nodeKindSchema = z.enum(["local", "ssh", "shipped"]);

/** A place where runs run. `local` (this machine) and `shipped` (read-only histories) exist always. */
export const nodeRowSchema = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  name: z.string().min(1).max(120),
  kind: nodeKindSchema,
  /** ssh: `user@host` or an alias of ssh_config. */
  destination: z.string().nullable().default(null),
  port: z.number().int().min(1).max(65535).nullable().default(null),
  identityFile: z.string().nullable().default(null),
  /** Folder on the node; null: the kind's own. */
  root: z.string().nullable().default(null),
  python: z.string().nullable().default(null),
  /** Seconds since 1970, as everywhere in these rows. */
  created: z.number(),
  lastSeen: z.number().nullable().default(null),
  /** The last check's steps. */
  lastCheck: z.unknown().default(null),
});
export type NodeRow = z.infer<typeof nodeRowSchema>;

/**
 * `running`, `queued`, `stopped`, `finished` and `failed` are what the run's own status says. `interrupted` is derived: it
 * says running, but its process or job is gone.
 */
export const runStateSchema = z.enum(["queued", "running", "stopped", "finished", "failed", "interrupted"]);
export type RunState = z.infer<typeof runStateSchema>;

export const runIdSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);

/** The file that `best…` and `last…` were read from, so that it is not read again. */
export const measuredSchema = z.object({
  inode: z.number(),
  size: z.number(),
  /** Bytes that were read: all but a torn last line. */
  read: z.number(),
});

/** A run in the index. All of it can be made again from the run's directory. */
export const runRowSchema = z.object({
  node: z.string(),
  id: runIdSchema,
  name: z.string(),
  state: runStateSchema,
  created: z.number(),
  updated: z.number(),
  method: z.string().nullable().default(null),
  family: z.string().nullable().default(null),
  pattern: z.string().nullable().default(null),
  preset: z.string().nullable().default(null),
  /** The run that this one was duplicated from. */
  origin: z.string().nullable().default(null),
  step: z.number().nullable().default(null),
  steps: z.number().nullable().default(null),
  tokens: z.number().nullable().default(null),
  /** Evaluated, or of training where nothing was evaluated. */
  lastLoss: z.number().nullable().default(null),
  bestLoss: z.number().nullable().default(null),
  lastKl: z.number().nullable().default(null),
  bestKl: z.number().nullable().default(null),
  notes: z.string().default(""),
  tags: z.array(z.string()).default([]),
  /** What else the table of runs shows; nothing is sought by it. */
  details: z.record(z.string(), z.unknown()).default({}),
  measured: measuredSchema.nullable().default(null),
});
export type RunRow = z.infer<typeof runRowSchema>;

/** A run config that was saved to be used again. */
export const configurationRowSchema = z.object({
  id: z.number().int(),
  name: z.string().min(1).max(120),
  config: z.unknown(),
  note: z.string(),
  created: z.number(),
  updated: z.number(),
});
export type ConfigurationRow = z.infer<typeof configurationRowSchema>;

/** A measured rate of a node on a shape of work, which estimates build on. */
export const benchmarkRowSchema = z.object({
  node: z.string(),
  /** What was run, as one comparable text: family, method, layers, lengths, device. */
  shape: z.string().min(1),
  tokensPerSecond: z.number().positive(),
  memoryBytes: z.number().nullable().default(null),
  /** The run or the command that it was measured by. */
  source: z.string(),
  measured: z.number(),
});
export type BenchmarkRow = z.infer<typeof benchmarkRowSchema>;
