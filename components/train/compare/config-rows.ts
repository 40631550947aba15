/** The configs of several runs, field by field. Pure. */
import { isObject, sameJson } from "@/lib/training/config/document";
import { runSchema, withSections } from "@/lib/training/config/schema";
import type { ConfigDocument } from "@/lib/training/types";

/** A config with the trainer's defaults filled in, of a pipeline those of its shared fields; as it is where the trainer would not take it. */
export function withDefaults(document: ConfigDocument): ConfigDocument {
  const { stages, stepwise, ...shared } = document;
  const pipeline = { ...(stages !== undefined && { stages }), ...(stepwise !== undefined && { stepwise }) };
  const first = Array.isArray(stages) && isObject(stages[0]) ? stages[0] : {};
  // What only the stages say stands in for what the schema wants of a whole config.
  const needed = Object.fromEntries(["method", "layers"].filter((name) => !(name in shared) && name in first).map((name) => [name, first[name]]));
  const filled = runSchema.safeParse(withSections({ ...needed, ...shared }));
  if (!filled.success) return document;
  const own = Object.entries(filled.data as ConfigDocument).filter(([name]) => !(name in needed));
  return { ...Object.fromEntries(own), ...pipeline };
}

export type ConfigRow = { readonly path: string; /** One a run; undefined: it has no such field. */ readonly values: readonly unknown[]; readonly differs: boolean };

/** Every field of any of the configs but their names, in the order of the first that has it; objects by their fields, lists as one value. */
export function configRows(configs: readonly (ConfigDocument | null)[]): ConfigRow[] {
  const flat = configs.map((config) => new Map(config ? leaves(withDefaults(config), "") : []));
  const paths = [...new Set(flat.flatMap((fields) => [...fields.keys()]))];
  return paths.filter((path) => path !== "name").map((path) => {
    const values = flat.map((fields) => fields.get(path));
    return { path, values, differs: values.some((value) => !sameJson(value, values[0])) };
  });
}

function leaves(value: unknown, path: string): [string, unknown][] {
  if (!isObject(value) || Object.keys(value).length === 0) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === "" ? name : `${path}.${name}`));
}
