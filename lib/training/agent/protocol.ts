/** The lines between server and node agent: one JSON object each. Checked on arrival, because a node may send anything. */
import { z } from "zod";

export const PROTOCOL = 1;
/** As in the agent (`serve.py`, `core.py`). */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
export const CHUNK_BYTES = 256 * 1024;
export const WINDOW_BYTES = 1024 * 1024;

export const agentErrorSchema = z.object({ code: z.string(), message: z.string(), action: z.string() });

const id = z.number().int().nonnegative();

/** What the agent sends: events and bytes of a call (`data` in base64), bytes it took in (`got`), and its end. */
export const agentFrameSchema = z.union([
  // Not checked letter by letter: most of what comes is this, and a checksum or a reader finds what is damaged.
  z.object({ id, data: z.string() }),
  z.object({ id, event: z.unknown() }).refine((frame) => "event" in frame),
  z.object({ id, got: z.number().int().nonnegative() }),
  z.object({ id, error: agentErrorSchema }),
  z.object({ id, result: z.unknown() }).refine((frame) => "result" in frame),
]);
export type AgentFrame = z.infer<typeof agentFrameSchema>;

/** What the server sends: a request, then bytes (`data`, `end`), bytes it took in (`ack`), or `cancel`. */
export type ServerFrame =
  | { id: number; op: string; params: Record<string, unknown> }
  | { id: number; data: string }
  | { id: number; end: true }
  | { id: number; ack: number }
  | { id: number; cancel: true };

/** The answer to `hello`: which machine this is. `boot_id` changes with every start of the machine; "" if it has none. */
export const helloSchema = z.object({
  protocol: z.number().int(),
  python: z.string(),
  executable: z.string(),
  hostname: z.string(),
  boot_id: z.string(),
  root: z.string(),
  home: z.string(),
  user: z.string(),
  cpus: z.number().int(),
  memory: z.number().nullable(),
  platform: z.string(),
  time: z.number(),
  pid: z.number().int(),
});
export type AgentHello = z.infer<typeof helloSchema>;

/** What `stat` and `list_runs` tell of a file. `mtime` in seconds. */
export const fileStatSchema = z.object({ size: z.number(), mtime: z.number(), inode: z.number() });
export type FileStat = z.infer<typeof fileStatSchema>;

export const pathStatSchema = fileStatSchema.extend({ kind: z.enum(["file", "folder", "other"]) });

export const livenessSchema = z.enum(["alive", "gone", "unknown"]);
export type Liveness = z.infer<typeof livenessSchema>;

/** One run in the answer to `list_runs`: its files by name (absent ones are left out); `alive` is null without a launch.json. */
export const listedRunSchema = z.object({
  id: z.string(),
  files: z.record(z.string(), fileStatSchema),
  alive: livenessSchema.nullable(),
});
export type ListedRun = z.infer<typeof listedRunSchema>;
export const listRunsSchema = z.object({ time: z.number(), runs: z.array(listedRunSchema) });

/** The answer to `read`, after its bytes. */
export const readAnswerSchema = fileStatSchema.extend({ offset: z.number(), bytes: z.number() });
export type ReadAnswer = z.infer<typeof readAnswerSchema>;

export const trashedSchema = z.object({ entry: z.string(), id: z.string(), deleted: z.number(), bytes: z.number() });
export const trashListSchema = z.object({ entries: z.array(trashedSchema) });

export const diskSchema = z.object({ free: z.number(), total: z.number() });

export const gpuListSchema = z.object({
  gpus: z.array(
    z.object({
      index: z.number().int(),
      uuid: z.string(),
      name: z.string(),
      memory_bytes: z.number(),
      memory_free_bytes: z.number(),
      utilisation: z.number().nullable(),
      driver: z.string(),
    }),
  ),
});
