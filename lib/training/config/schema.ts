/** The run config's JSON Schema, which the trainer generates, as it is and as zod schemas. */
import { z } from "zod";
import generated from "@/docs/run-config.schema.json";
import type { ConfigDocument } from "../types";
import { isObject } from "./document";

/** The parts of JSON Schema that pydantic writes for the run config. */
export type Schema = {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: string[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
};

/** The whole document, as `docs/run-config.schema.json`. */
export const runConfigSchema = generated as Schema & { $defs: Record<string, Schema> };

/** The schema that a `$ref` means; the schema itself if it is none. */
export function resolve(schema: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  const found = name === undefined ? schema : runConfigSchema.$defs[name];
  if (!found) throw new Error(`The run config's schema refers to ${schema.$ref}, which it does not have.`);
  return found;
}

function zodOf(name: string): z.ZodType {
  const { $defs, $schema } = generated;
  return z.fromJSONSchema({ $schema, $defs, $ref: `#/$defs/${name}` } as Parameters<typeof z.fromJSONSchema>[0]);
}

/** A run config that is no pipeline. Parsing fills in the defaults of sections that are there. */
export const runSchema = zodOf("Run");
export const stepwiseSchema = zodOf("StepwiseConfig");

/** The document with its missing sections and lists, empty: parsing then fills in their defaults. */
export function withSections(document: ConfigDocument, schema: Schema = resolve({ $ref: "#/$defs/Run" })): ConfigDocument {
  const whole: ConfigDocument = { ...document };
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (schema.required?.includes(key) && whole[key] === undefined) continue;
    const section = property.$ref === undefined ? undefined : resolve(property);
    if (section) {
      const held = whole[key] === undefined ? {} : whole[key];
      whole[key] = isObject(held) ? withSections(held, section) : held;
    } else if (whole[key] === undefined && property.default === undefined) {
      if (property.type === "array") whole[key] = [];
      if (property.type === "object") whole[key] = {};
    }
  }
  return whole;
}
