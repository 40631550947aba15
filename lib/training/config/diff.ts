/** How two run configs differ, for the pages that compare runs. */
import type { ConfigDocument } from "../types";
import { isObject, sameJson } from "./document";

export type Difference = {
  readonly path: string;
  /** undefined: that side has no such field. */
  readonly left: unknown;
  readonly right: unknown;
};

/** Fields whose values differ, in the order of the left config, then those that only the right has. Lists are compared whole, lists of objects item by item. */
export function diffConfigs(left: ConfigDocument, right: ConfigDocument): Difference[] {
  return differences("", left, right);
}

function differences(path: string, left: unknown, right: unknown): Difference[] {
  if (sameJson(left, right)) return [];
  const parts = partsOf(left, right);
  if (!parts) return [{ path, left, right }];
  return parts.flatMap(({ key, one, other }) => differences(path === "" ? key : `${path}.${key}`, one, other));
}

function partsOf(left: unknown, right: unknown): { key: string; one: unknown; other: unknown }[] | null {
  if (isObject(left) && isObject(right)) {
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    const own = (side: ConfigDocument, key: string): unknown => (Object.hasOwn(side, key) ? side[key] : undefined);
    return keys.map((key) => ({ key, one: own(left, key), other: own(right, key) }));
  }
  if (Array.isArray(left) && Array.isArray(right) && [...left, ...right].every(isObject)) {
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => ({ key: String(index), one: left[index], other: right[index] }));
  }
  return null;
}
