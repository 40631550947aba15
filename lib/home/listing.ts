/** What `GET /bundles` tells: the families this server has, and which of their files are present. Shared by server and page. */
import { z } from "zod";

const problemSchema = z.object({ message: z.string(), action: z.string() });

const fileSchema = z.object({
  name: z.string(),
  /** Bytes by the manifest. */
  bytes: z.number(),
  sha256: z.string(),
  use: z.enum(["base", "mixers", "tokenizer", "other"]),
  /** `wrong-size`: on disk, but not with the size that the manifest promises. */
  state: z.enum(["present", "missing", "wrong-size"]),
  place: z.enum(["home", "shipped"]).nullable(),
});

const variantSchema = z.object({
  name: z.string(),
  title: z.string(),
  /** One mixer a layer: `attention` or `<mixer>:<set>`. */
  layers: z.array(z.string()),
  /** A small model for speculation, not a hybrid of the family's base. */
  draft: z.boolean(),
  /** Of drafts: reads the hidden states of the model that it drafts for, and cannot run alone. */
  features: z.boolean(),
  /** Of drafts: the variant whose tokens it learned, where its training says so. */
  target: z.string().nullable(),
  /** Weight files that this variant reads. */
  files: z.array(z.string()),
  ready: z.boolean(),
});

export const familySchema = z.object({
  family: z.string(),
  title: z.string(),
  description: z.string(),
  license: z.string(),
  source: z.string(),
  origin: z.enum(["shipped", "gguf-package", "imported", "unknown"]),
  /** Whether the server can fetch what is missing. */
  fetchable: z.boolean(),
  /** Whether the tokenizer has a chat template; null while its config is not on disk. */
  chat: z.boolean().nullable(),
  shape: z
    .object({
      layers: z.number(),
      width: z.number(),
      heads: z.number(),
      keyValueHeads: z.number(),
      vocabulary: z.number(),
      context: z.number(),
    })
    .nullable(),
  files: z.array(fileSchema),
  variants: z.array(variantSchema),
  /** Why the family cannot be used at all, such as a manifest of another version. */
  problem: problemSchema.nullable(),
});

export const bundleListSchema = z.object({ families: z.array(familySchema) });

export type Problem = z.infer<typeof problemSchema>;
export type ListedFile = z.infer<typeof fileSchema>;
export type ListedVariant = z.infer<typeof variantSchema>;
export type ListedFamily = z.infer<typeof familySchema>;
export type BundleList = z.infer<typeof bundleListSchema>;
