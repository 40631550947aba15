import { z } from "zod";
import type { Mamba2Config } from "./mamba2";

/** Names of families, variants and mixer sets: they stand in URLs and file names, and `.` and `~` are taken by patterns. */
export const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/).max(64);

/** A Llama-shaped teacher, in Hugging Face's names. */
export const architectureSchema = z
  .strictObject({
    model_type: z.literal("llama"),
    hidden_size: z.int().positive(),
    intermediate_size: z.int().positive(),
    num_hidden_layers: z.int().positive().max(512),
    num_attention_heads: z.int().positive(),
    num_key_value_heads: z.int().positive(),
    head_dim: z.int().positive(),
    vocab_size: z.int().positive(),
    max_position_embeddings: z.int().positive(),
    rms_norm_eps: z.number().positive(),
    rope_theta: z.number().positive(),
    tie_word_embeddings: z.boolean(),
    hidden_act: z.literal("silu"),
  })
  .superRefine((architecture, context) => {
    const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: dim } = architecture;
    if (heads % groups !== 0) {
      context.addIssue({
        code: "custom",
        path: ["num_key_value_heads"],
        message: `num_attention_heads (${heads}) must be a multiple of num_key_value_heads (${groups})`,
      });
    }
    if (dim % 2 !== 0) {
      context.addIssue({ code: "custom", path: ["head_dim"], message: `head_dim must be even for RoPE, not ${dim}` });
    }
  });

export type Architecture = z.infer<typeof architectureSchema>;

/** What mixes tokens in one layer: `"attention"`, `"mamba2:<set>"` or `"mamba:<set>"`. */
export const layerSpecSchema = z
  .string()
  .regex(/^(attention|(mamba2|mamba):[A-Za-z0-9][A-Za-z0-9_-]*)$/, 'expected "attention", "mamba2:<set>" or "mamba:<set>"');

/** A parsed layer spec. `set` names a mixer set of the family's bundle. */
export type LayerSpec =
  | { readonly mixer: "attention" }
  | { readonly mixer: "mamba2" | "mamba"; readonly set: string };

/** A teacher's shape and one mixer a layer. */
export const hybridConfigSchema = z
  .strictObject({
    family: nameSchema,
    architecture: architectureSchema,
    layers: z.array(layerSpecSchema).min(1),
  })
  .superRefine(({ architecture, layers }, context) => {
    if (layers.length !== architecture.num_hidden_layers) {
      context.addIssue({
        code: "custom",
        path: ["layers"],
        message: `${layers.length} layer specs for a model of ${architecture.num_hidden_layers} layers`,
      });
    }
  });

export type HybridConfig = z.infer<typeof hybridConfigSchema>;

/** What must be known of a mixer set beside its tensors; a bundle's `mixer_sets` fit this type as they are. */
export interface MixerDescription {
  readonly mixer: "mamba2";
  readonly config: Mamba2Config;
}

/** Mixer sets by name. */
export type MixerSets = Readonly<Record<string, MixerDescription>>;

/** A hybrid config that does not hold together, e.g. a layer that names a mixer set which is not there. */
export class HybridConfigError extends Error {
  override readonly name = "HybridConfigError";
  readonly code = "hybrid-config-invalid";
  constructor(
    message: string,
    readonly action = "Correct the hybrid config.",
  ) {
    super(message);
  }
}

/** Parses `"attention"`, `"mamba2:<set>"` or `"mamba:<set>"`. Throws {@link HybridConfigError} on anything else. */
export function parseLayerSpec(text: string): LayerSpec {
  if (!layerSpecSchema.safeParse(text).success) {
    throw new HybridConfigError(`Layer "${text}" is not "attention", "mamba2:<set>" or "mamba:<set>".`);
  }
  if (text === "attention") return { mixer: "attention" };
  const colon = text.indexOf(":");
  return { mixer: text.slice(0, colon) as "mamba2" | "mamba", set: text.slice(colon + 1) };
}

/** The inverse of {@link parseLayerSpec}. */
export function formatLayerSpec(spec: LayerSpec): string {
  return spec.mixer === "attention" ? "attention" : `${spec.mixer}:${spec.set}`;
}

/** A layer with its mixer's config looked up. */
export type ResolvedLayer =
  | { readonly mixer: "attention" }
  | { readonly mixer: "mamba2"; readonly set: string; readonly config: Mamba2Config };

/**
 * Looks up the mixer of each layer. Throws {@link HybridConfigError} if a layer names a set that is not in `sets`, or
 * one that holds another kind of mixer.
 */
export function resolveLayers(config: HybridConfig, sets: MixerSets): ResolvedLayer[] {
  return config.layers.map((text, index) => {
    const spec = parseLayerSpec(text);
    if (spec.mixer === "attention") return spec;
    const description = Object.hasOwn(sets, spec.set) ? sets[spec.set] : undefined;
    if (!description) {
      const known = Object.keys(sets).join(", ") || "none";
      throw new HybridConfigError(
        `Layer ${index} wants mixer set "${spec.set}", which family "${config.family}" does not have (it has: ${known}).`,
        "Choose a set that the family has.",
      );
    }
    if (description.mixer !== spec.mixer) {
      throw new HybridConfigError(
        `Layer ${index} wants a ${spec.mixer} mixer from set "${spec.set}", which holds ${description.mixer} mixers.`,
        `Write "${description.mixer}:${spec.set}".`,
      );
    }
    return { mixer: description.mixer, set: spec.set, config: description.config };
  });
}
