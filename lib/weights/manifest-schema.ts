import { z } from "zod";
import { architectureSchema, draftShapeSchema, layerSpecSchema, nameSchema } from "@/lib/hybrid/config";
import { mamba2ConfigSchema } from "@/lib/hybrid/mamba2";

/** The bundle version that this code reads and writes. */
export const BUNDLE_FORMAT = "mambascope-bundle";
export const BUNDLE_VERSION = 1;

const tokenId = z.int().nonnegative();
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");
const fileNameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "expected a plain file name").max(128);
const tensorNameSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/).max(256);

/** Bytes `[begin, end)`, counted from the start of the file. */
const rangeSchema = z.tuple([z.int().nonnegative(), z.int().nonnegative()]);
const shapeSchema = z.array(z.int().positive()).min(1).max(4);

const placed = { shape: shapeSchema, file: fileNameSchema };
const dataParts = z.strictObject({ data: rangeSchema });
const scaledParts = z.strictObject({ q: rangeSchema, scale: rangeSchema });
const affineParts = z.strictObject({ q: rangeSchema, scale: rangeSchema, min: rangeSchema });

/** Where one tensor lies and how it is stored. */
export const tensorEntrySchema = z.discriminatedUnion("codec", [
  z.strictObject({ codec: z.literal("f32"), ...placed, parts: dataParts }),
  z.strictObject({ codec: z.literal("f16"), ...placed, parts: dataParts }),
  z.strictObject({ codec: z.literal("q8_0"), ...placed, parts: scaledParts }),
  z.strictObject({ codec: z.literal("q4_0"), ...placed, parts: scaledParts }),
  z.strictObject({ codec: z.literal("q4_1"), ...placed, parts: affineParts }),
]);

const tensorIndexSchema = z.record(tensorNameSchema, tensorEntrySchema);

/** Where the base's weights come from, if they do not ship with the project. */
export const originSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("shipped") }),
  z.strictObject({
    kind: z.literal("gguf-package"),
    package: z.string().min(1),
    version: z.string().min(1),
    file: z.string().min(1),
    sha256: sha256Schema,
  }),
  z.strictObject({ kind: z.literal("imported"), source: z.string().min(1) }),
]);

const fileEntrySchema = z.strictObject({ bytes: z.int().nonnegative(), sha256: sha256Schema });

/** Token ids by falling frequency in the data that the family was trained on: `count` little-endian uint32. */
const tokenRankingSchema = z.strictObject({ file: fileNameSchema, ...fileEntrySchema.shape, count: z.int().positive() });

const setParts = {
  layers: z.array(z.int().nonnegative()).min(1),
  tensors: tensorIndexSchema,
  training: z.record(z.string(), z.json()).optional(),
};

/** Mixers of some layers, or with `draft` a small model of its own; only a draft has attention in a set. */
const mixerSetSchema = z.discriminatedUnion("mixer", [
  z.strictObject({ mixer: z.literal("mamba2"), draft: draftShapeSchema.optional(), config: mamba2ConfigSchema, ...setParts }),
  z.strictObject({ mixer: z.literal("attention"), draft: draftShapeSchema, config: z.strictObject({}), ...setParts }),
]);

const variantSchema = z.strictObject({ title: z.string().min(1), layers: z.array(layerSpecSchema).min(1) });

/** The shape of `manifest.json`. What a schema cannot say is checked by `parseManifest`. */
export const manifestSchema = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  version: z.literal(BUNDLE_VERSION),
  family: nameSchema,
  title: z.string().min(1),
  description: z.string(),
  license: z.string().min(1),
  source: z.string(),
  architecture: architectureSchema,
  special_tokens: z.strictObject({
    bos: tokenId.nullable(),
    eos: z.array(tokenId),
    pad: tokenId.nullable(),
  }),
  tokenizer: z.strictObject({ file: fileNameSchema, config: fileNameSchema }),
  files: z.record(fileNameSchema, fileEntrySchema),
  token_ranking: tokenRankingSchema.optional(),
  base: z.strictObject({ origin: originSchema, tensors: tensorIndexSchema }),
  mixer_sets: z.record(nameSchema, mixerSetSchema),
  variants: z.record(nameSchema, variantSchema),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type TensorEntry = z.infer<typeof tensorEntrySchema>;
export type Origin = z.infer<typeof originSchema>;
export type FileEntry = z.infer<typeof fileEntrySchema>;
export type MixerSet = z.infer<typeof mixerSetSchema>;
export type Variant = z.infer<typeof variantSchema>;
