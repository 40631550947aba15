/** The configs of several runs, field by field. Pure. */
import { isObject, sameJson } from "@/lib/training/config/document";
import type { ConfigDocument } from "@/lib/training/types";

export type ConfigRow = { readonly path: string; /** One a run; undefined: it has no such field. */ readonly values: readonly unknown[]; readonly differs: boolean };

/** Every field of any of the configs, in the order of the first that has it; objects by their fields, lists as one value. */
export function configRows(configs: readonly (ConfigDocument | null)[]): ConfigRow[] {
  const flat = configs.map((config) => new Map(config ? leaves(config, "") : []));
  const paths = [...new Set(flat.flatMap((fields) => [...fields.keys()]))];
  return paths.map((path) => {
    const values = flat.map((fields) => fields.get(path));
    return { path, values, differs: values.some((value) => !sameJson(value, values[0])) };
  });
}

function leaves(value: unknown, path: string): [string, unknown][] {
  if (!isObject(value) || Object.keys(value).length === 0) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === "" ? name : `${path}.${name}`));
}
