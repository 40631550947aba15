import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { z } from "zod";
import { architectureSchema, hybridConfigSchema } from "@/lib/hybrid/config";
import { mamba2ConfigSchema } from "@/lib/hybrid/mamba2";
import { manifestSchema } from "./manifest";

const schemas = {
  manifest: [manifestSchema, "The manifest of a weight bundle."],
  architecture: [architectureSchema, "The shape of a Llama-like teacher."],
  "hybrid-config": [hybridConfigSchema, "A teacher's shape and one mixer a layer."],
  "mamba2-config": [mamba2ConfigSchema, "The shape and the options of a Mamba-2 mixer."],
} as const;

// The trainer validates by these files. After a change: npx vitest run lib/weights/schemas.test.ts --update
it.each(Object.entries(schemas))("the trainer's copy of the %s schema is current", async (name, [schema, description]) => {
  const json = { ...z.toJSONSchema(schema), title: name, description };
  const path = fileURLToPath(new URL(`../../trainer/mambascope_trainer/schemas/${name}.schema.json`, import.meta.url));
  await expect(`${JSON.stringify(json, null, 2)}\n`).toMatchFileSnapshot(path);
});
