/** A run config as JSON, and reading and changing one place in it. Nothing is changed in place. */
import type { ConfigDocument } from "../types";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Path = readonly (string | number)[];

export function isObject(value: unknown): value is ConfigDocument {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `["optimiser", "steps"]` as `optimiser.steps`. */
export function pathText(path: Path): string {
  return path.join(".");
}

/** The inverse of {@link pathText}; numbers name items of lists. */
export function parsePath(text: string): Path {
  return text === "" ? [] : text.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** The value at a place; undefined where there is none. */
export function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else if (isObject(value) && Object.hasOwn(value, key)) value = value[key];
    else return undefined;
  }
  return value;
}

/** The document with another value at a place; sections on the way are made where they are missing. */
export function withValue(document: ConfigDocument, path: Path, value: unknown): ConfigDocument {
  return replace(document, path, value) as ConfigDocument;
}

function replace(held: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(held)) return held.map((item, index) => (index === Number(key) ? replace(item, rest, value) : item));
  const object = isObject(held) ? held : {};
  return { ...object, [key]: replace(object[key], rest, value) };
}

/** The document without the value at a place, so that it takes its default; sections that this empties go too. */
export function withoutValue(document: ConfigDocument, path: Path): ConfigDocument {
  const [key, ...rest] = path;
  if (key === undefined) return document;
  const { [key]: held, ...others } = document;
  if (rest.length === 0 || held === undefined) return others;
  if (Array.isArray(held)) {
    const place = Number(rest[0]);
    const items = rest.length === 1 ? held.filter((_, index) => index !== place) : held.map((item, index) => (index === place && isObject(item) ? withoutValue(item, rest.slice(1)) : item));
    return { ...document, [key]: items };
  }
  if (!isObject(held)) return document;
  const left = withoutValue(held, rest);
  return Object.keys(left).length === 0 ? others : { ...document, [key]: left };
}

/** Whether two JSON values are equal, whatever the order of their keys. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, index) => sameJson(item, other[index]));
  if (!isObject(one)) return one === other;
  if (!isObject(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]));
}
