/** The form's fields: each leaf of the run config's schema with its kind, bounds, default, explanation and place. */
import type { ConfigDocument } from "../types";
import { parsePath, valueAt } from "./document";
import { fieldNotes, type Note, type SectionId, sectionIds, type Situation } from "./field-notes";
import type { Method } from "./run-config";
import { resolve, type Schema } from "./schema";

/** `layers`: a list of layers. `names`: text or a list of texts. `sources`: a folder, or folders with shares. */
export type FieldKind = "integer" | "number" | "boolean" | "choice" | "text" | "texts" | "layers" | "names" | "sources" | "mixture" | "object";

export type Field = Note & {
  readonly path: string;
  readonly kind: FieldKind;
  readonly description: string;
  /** undefined: it has none and must be given. */
  readonly default: unknown;
  readonly nullable: boolean;
  readonly choices: readonly string[];
  readonly minimum: number | null;
  readonly maximum: number | null;
};

/** Fields with a value of their own, down to the sections' leaves. */
function leaves(schema: Schema, prefix: string): { path: string; schema: Schema; required: boolean }[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const path = `${prefix}${key}`;
    const section = [property, ...(property.anyOf ?? [])].find(({ $ref }) => $ref !== undefined);
    const held = section && resolve(section);
    return held?.properties ? leaves(held, `${path}.`) : [{ path, schema: property, required: schema.required?.includes(key) ?? false }];
  });
}

const runLeaves = leaves(resolve({ $ref: "#/$defs/Run" }), "").filter(({ path }) => path !== "name");

/** Paths of all fields that a run config has, but for its name. */
export const fieldPaths: readonly string[] = runLeaves.map(({ path }) => path);

const order = Object.keys(fieldNotes);

export const fields: readonly Field[] = runLeaves
  .map(({ path, schema, required }): Field => {
    const note = fieldNotes[path] ?? { section: "machine", label: path, advanced: true };
    const own = schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
    const bounds = { ...own };
    return {
      ...note,
      path,
      kind: kindOf(path, schema),
      description: schema.description ?? "",
      default: required ? undefined : schema.default === undefined ? emptyOf(own) : schema.default,
      nullable: schema.anyOf?.some(({ type }) => type === "null") ?? false,
      choices: own.enum ?? [],
      minimum: bounds.minimum ?? (bounds.exclusiveMinimum === undefined ? null : own.type === "integer" ? bounds.exclusiveMinimum + 1 : bounds.exclusiveMinimum),
      maximum: bounds.maximum ?? bounds.exclusiveMaximum ?? null,
    };
  })
  .sort((one, other) => order.indexOf(one.path) - order.indexOf(other.path));

export const fieldsByPath: ReadonlyMap<string, Field> = new Map(fields.map((field) => [field.path, field]));

export function fieldsOf(section: SectionId): Field[] {
  return fields.filter((field) => field.section === section);
}

export { sectionIds };

function emptyOf(schema: Schema): unknown {
  return schema.type === "array" ? [] : schema.type === "object" ? {} : undefined;
}

function kindOf(path: string, schema: Schema): FieldKind {
  if (path === "data.train") return "sources";
  if (path === "mixer.start_from") return "names";
  if (path === "mixture") return "mixture";
  const own = schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
  if (own.enum) return "choice";
  if (own.type === "array") return own.items?.type === "integer" ? "layers" : "texts";
  switch (own.type) {
    case "integer":
    case "number":
    case "boolean":
    case "object":
      return own.type;
    default:
      return "text";
  }
}

/** What decides which fields matter, of a document that may be incomplete. */
export function situationOf(document: ConfigDocument): Situation {
  const text = (path: string, otherwise: string): string => {
    const value = valueAt(document, parsePath(path));
    return typeof value === "string" ? value : otherwise;
  };
  const number = (path: string): number => {
    const value = valueAt(document, parsePath(path));
    return typeof value === "number" ? value : 0;
  };
  return {
    method: text("method", "distill") as Method,
    pattern: text("pattern", "fixed"),
    schedule: text("optimiser.schedule", "cosine"),
    optimiser: text("optimiser.name", "adamw"),
    draftMixer: text("draft.mixer", "mamba2"),
    draftFeatures: valueAt(document, parsePath("draft.features")) === true,
    alpha: number("loss.alpha"),
    sampleEvery: number("sample_every"),
  };
}

export function matters(field: Field, situation: Situation): boolean {
  return field.matters?.(situation) ?? true;
}
