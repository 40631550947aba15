/** What the table of runs shows of a run's measures. */
import { z } from "zod";
import type { Table } from "./columns";
import { bucketsOf, seriesOf } from "./downsample";
import type { MetricLines } from "./metric-lines";

const CURVE_POINTS = 40;
/** Lines over which the present speed is taken. */
const RECENT = 20;
const shown = ["loss", "kl", "ce", "agreement", "tokens_per_second", "learning_rate", "memory_gib", "gpu_utilisation"];

export const digestSchema = z.object({
  /** Newest values, evaluated ones where a measure is evaluated. */
  latest: z.record(z.string(), z.number()),
  /** Lowest `kl` and `loss`, evaluated, or of training where nothing was evaluated. */
  best: z.record(z.string(), z.number()),
  /** Training losses over the whole run, oldest first. */
  curve: z.array(z.number()),
  /** Time of the first line. */
  began: z.number().nullable(),
  last: z.object({ step: z.number(), tokens: z.number() }).nullable(),
  secondsPerStep: z.number().nullable(),
});
export type Digest = z.infer<typeof digestSchema>;

export const emptyDigest: Digest = { latest: {}, best: {}, curve: [], began: null, last: null, secondsPerStep: null };

/** Sums up what was read. */
export function digestOf(lines: MetricLines): Digest {
  const train = lines.tables.get("train");
  const evaluated = lines.tables.get("eval");
  const tables = [evaluated, train].filter((table) => table !== undefined);
  const digest: Digest = { ...emptyDigest, latest: {}, best: {} };
  for (const name of shown) {
    const value = newest(train, name) ?? newest(evaluated, name);
    if (value !== null) digest.latest[name] = value;
  }
  for (const name of ["kl", "loss"]) {
    for (const table of tables) {
      const value = lowest(table, name);
      if (value === null) continue;
      digest.best[name] = value;
      break;
    }
  }
  if (train) digest.curve = seriesOf(train, "train", "loss", bucketsOf(train, { points: CURVE_POINTS })).value.filter((value) => value !== null);
  for (const table of tables) {
    const began = table.time.values[0];
    if (table.length > 0 && began !== undefined && !Number.isNaN(began)) digest.began = Math.min(digest.began ?? Infinity, began);
    const step = table.step.values[table.length - 1];
    if (step !== undefined && step >= (digest.last?.step ?? -1)) digest.last = { step, tokens: table.tokens.values[table.length - 1] || 0 };
  }
  digest.secondsPerStep = train ? speedOf(train) : null;
  return digest;
}

function newest(table: Table | undefined, name: string): number | null {
  const values = table?.measures.get(name)?.values;
  for (let i = (table?.length ?? 0) - 1; values && i >= 0; i--) {
    const value = values[i] as number;
    if (!Number.isNaN(value)) return Number(value.toPrecision(7));
  }
  return null;
}

function lowest(table: Table, name: string): number | null {
  const values = table.measures.get(name)?.values;
  let low = Infinity;
  for (let i = 0; values && i < table.length; i++) {
    const value = values[i] as number;
    if (value < low) low = value;
  }
  return low === Infinity ? null : Number(low.toPrecision(7));
}

function speedOf({ step, time, length }: Table): number | null {
  const from = Math.max(0, length - 1 - RECENT);
  const steps = (step.values[length - 1] as number) - (step.values[from] as number);
  const seconds = (time.values[length - 1] as number) - (time.values[from] as number);
  return length > 1 && steps > 0 && seconds > 0 ? seconds / steps : null;
}
