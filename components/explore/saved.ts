/** What the explorer keeps in localStorage: named configurations and the visitor's own text. Whatever does not fit its schema is left out, entry by entry. */
import { z } from "zod";
import { nameSchema } from "@/lib/hybrid/config";
import { parsePattern } from "@/lib/hybrid/pattern";

const key = "mambascope.explore.v1";

const patternSchema = z.string().refine((text) => {
  try {
    parsePattern(text);
    return true;
  } catch {
    return false;
  }
}, "not a layer pattern");

const savedSchema = z.object({
  id: z.string().min(1),
  name: z.string().min(1).max(80),
  family: nameSchema,
  /** Patterns in text form. */
  a: patternSchema,
  b: patternSchema.nullable(),
  set: z.string().nullable(),
  savedAt: z.iso.datetime(),
});
export type SavedConfig = z.infer<typeof savedSchema>;

const ownSchema = z.object({ name: z.string().nullable(), text: z.string() });
export type OwnText = z.infer<typeof ownSchema>;

export type Stored = { saved: SavedConfig[]; own: OwnText; /** Entries that could not be read. */ unreadable: number };

const noText: OwnText = { name: null, text: "" };

/** Reads what was stored, given as JSON. */
export function parseStored(json: string | null): Stored {
  if (json === null) return { saved: [], own: noText, unreadable: 0 };
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch {
    return { saved: [], own: noText, unreadable: 1 };
  }
  const outer = z.object({ saved: z.array(z.unknown()).catch([]), own: ownSchema.catch(noText) }).safeParse(data);
  if (!outer.success) return { saved: [], own: noText, unreadable: 1 };
  const entries = outer.data.saved.map((entry) => savedSchema.safeParse(entry));
  const saved = entries.flatMap((entry) => (entry.success ? [entry.data] : []));
  return { saved, own: outer.data.own, unreadable: entries.length - saved.length };
}

export function readStored(): Stored {
  try {
    return parseStored(localStorage.getItem(key));
  } catch {
    return { saved: [], own: noText, unreadable: 0 };
  }
}

/** False if the browser refuses, such as when storage is full or closed. */
export function writeStored(stored: Pick<Stored, "saved" | "own">): boolean {
  try {
    localStorage.setItem(key, JSON.stringify({ saved: stored.saved, own: stored.own }));
    return true;
  } catch {
    return false;
  }
}
