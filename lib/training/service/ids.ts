/** Names of runs and nodes: readable, and unlike any other's. */
import { randomInt } from "node:crypto";

const letters = "abcdefghijkmnpqrstuvwxyz23456789";

/** Lower-case letters, digits and single hyphens of a name, at most `longest`; "" if nothing is left. */
function slug(name: string, longest: number): string {
  return name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, longest + 1)
    .replace(/^-+|-+$/g, "")
    .slice(0, longest)
    .replace(/-+$/, "");
}

/** `tiny-interleaved-20261122-1305-x7k2`: the name, the time (UTC) and four characters by chance, so that two servers never make the same. */
export function newRunId(name: string, now = new Date()): string {
  const time = now.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 13);
  return `${slug(name, 50) || "run"}-${time}-${chance(4)}`;
}

/** A node's id from its name, unlike those in use. */
export function newNodeId(name: string, taken: ReadonlySet<string>): string {
  const base = slug(name, 30) || "node";
  if (!taken.has(base)) return base;
  for (;;) {
    const id = `${base}-${chance(4)}`;
    if (!taken.has(id)) return id;
  }
}

function chance(count: number): string {
  return Array.from({ length: count }, () => letters[randomInt(letters.length)]).join("");
}
