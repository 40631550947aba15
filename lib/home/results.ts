/** The measurements in `results/*.json`. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { projectRoot } from "./paths";

const machineSchema = z.union([z.string(), z.record(z.string(), z.unknown())]);

/** A value for every pair of a row and a column, such as a score for every length and depth; `peer` likewise. */
const gridSchema = z
  .object({
    rows: z.object({ name: z.string(), values: z.array(z.number()) }),
    columns: z.object({ name: z.string(), values: z.array(z.number()) }),
    values: z.array(z.array(z.number())),
    peer: z.array(z.array(z.number())).optional(),
  })
  .refine(
    ({ rows, columns, values, peer }) =>
      [values, peer ?? values].every((cells) => cells.length === rows.values.length && cells.every((row) => row.length === columns.values.length)),
    { message: "the grid's values are not rows by columns" },
  );

const entrySchema = z.object({
  /** Dotted name, such as `parity.kl`. */
  metric: z.string().regex(/^[a-z0-9]+(\.[a-z0-9_]+)+$/),
  value: z.number(),
  unit: z.string(),
  /** What was measured: family, variant, provider and so on. */
  of: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  peer: z.object({ name: z.string(), value: z.number() }).optional(),
  ratio: z.number().optional(),
  /** Standard error of the value. */
  stderr: z.number().optional(),
  grid: gridSchema.optional(),
  /** How this entry was made, where it differs from what the file says of all. */
  command: z.string().optional(),
  machine: machineSchema.optional(),
  date: z.string().optional(),
  commit: z.string().optional(),
});

export const resultsSchema = z.object({
  command: z.string(),
  machine: machineSchema,
  date: z.string(),
  commit: z.string(),
  entries: z.array(entrySchema),
});

export type ResultEntry = z.infer<typeof entrySchema>;
export type Results = z.infer<typeof resultsSchema>;

/** A results file that was read, or why it could not be. */
export type ResultsFile = { name: string; results: Results } | { name: string; problem: string };

/** All results files, by name. */
export async function readResults(): Promise<ResultsFile[]> {
  const folder = path.join(/* turbopackIgnore: true */ projectRoot(), "results");
  const names = (await readdir(/* turbopackIgnore: true */ folder).catch(() => [])).filter((name) => name.endsWith(".json")).sort();
  return Promise.all(
    names.map(async (file) => {
      const name = file.replace(/\.json$/, "");
      try {
        const parsed = resultsSchema.safeParse(JSON.parse(await readFile(/* turbopackIgnore: true */ path.join(folder, file), "utf8")));
        if (parsed.success) return { name, results: parsed.data };
        return { name, problem: parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") };
      } catch (error) {
        return { name, problem: String(error) };
      }
    }),
  );
}
