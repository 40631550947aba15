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

/** What mixes tokens in one layer: `"attention"`, `"mamba2:<set>"`, `"mamba:<set>"`, or a draft's `"attention:<set>"`. */
export const layerSpecSchema = z
  .string()
  .regex(
    /^(attention|(attention|mamba2|mamba):[A-Za-z0-9][A-Za-z0-9_-]*)$/,
    'expected "attention", "mamba2:<set>", "mamba:<set>" or "attention:<set>"',
  );

/** A parsed layer spec. `set` names a mixer set of the family's bundle; null: the base's attention. */
export type LayerSpec =
  | { readonly mixer: "attention"; readonly set: string | null }
  | { readonly mixer: "mamba2" | "mamba"; readonly set: string };

/** True for attention, the base's or a draft's. */
export function isAttentionLayer(text: string): boolean {
  return text === "attention" || text.startsWith("attention:");
}

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

/**
 * What makes a mixer set a draft: the fields in which the architecture of this small model differs from its base's. With `features` it
 * also reads the target's hidden states (EAGLE, arXiv 2401.15077), and is of no use without a target.
 */
export const draftShapeSchema = z.strictObject({
  num_hidden_layers: z.int().positive().max(512),
  intermediate_size: z.int().positive(),
  features: z.literal(true).optional(),
});

export type DraftShape = z.infer<typeof draftShapeSchema>;

/** What must be known of a mixer set beside its tensors; a bundle's `mixer_sets` fit this type as they are. */
export type MixerDescription =
  | { readonly mixer: "mamba2"; readonly config: Mamba2Config; readonly draft?: DraftShape | undefined }
  | { readonly mixer: "attention"; readonly draft: DraftShape };

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

/** Parses `"attention"`, `"mamba2:<set>"`, `"mamba:<set>"` or `"attention:<set>"`. Throws {@link HybridConfigError} on anything else. */
export function parseLayerSpec(text: string): LayerSpec {
  if (!layerSpecSchema.safeParse(text).success) {
    throw new HybridConfigError(`Layer "${text}" is not "attention", "mamba2:<set>", "mamba:<set>" or a draft's "attention:<set>".`);
  }
  if (text === "attention") return { mixer: "attention", set: null };
  const colon = text.indexOf(":");
  return { mixer: text.slice(0, colon) as "attention" | "mamba2" | "mamba", set: text.slice(colon + 1) };
}

/** The inverse of {@link parseLayerSpec}. */
export function formatLayerSpec(spec: LayerSpec): string {
  return spec.set === null ? spec.mixer : `${spec.mixer}:${spec.set}`;
}

/** A layer with its mixer's config looked up. */
export type ResolvedLayer =
  | { readonly mixer: "attention"; readonly set: string | null }
  | { readonly mixer: "mamba2"; readonly set: string; readonly config: Mamba2Config };

/**
 * Looks up the mixer of each layer. Throws {@link HybridConfigError} if a layer names a set that is not in `sets`, or
 * one that holds another kind of mixer, or if a draft is not used whole.
 */
export function resolveLayers(config: HybridConfig, sets: MixerSets): ResolvedLayer[] {
  checkDraft(config, sets);
  return config.layers.map((text, index) => {
    const spec = parseLayerSpec(text);
    if (spec.set === null) return { mixer: "attention", set: null };
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
    return description.mixer === "attention"
      ? { mixer: "attention", set: spec.set }
      : { mixer: "mamba2", set: spec.set, config: description.config };
  });
}

/** The draft that these layers are a part of: its set's name and its shape; null if they are a hybrid of the base. */
export function draftOf(layers: readonly string[], sets: MixerSets): { readonly set: string; readonly shape: DraftShape } | null {
  for (const text of layers) {
    const { set } = parseLayerSpec(text);
    const shape = set !== null && Object.hasOwn(sets, set) ? sets[set]?.draft : undefined;
    if (set !== null && shape) return { set, shape };
  }
  return null;
}

/** The architecture of the model that these layers make: the base's, or the draft's. */
export function architectureOf(base: Architecture, layers: readonly string[], sets: MixerSets): Architecture {
  const draft = draftOf(layers, sets);
  return draft ? draftArchitecture(base, draft.shape) : base;
}

/** The base's architecture in a draft's shape. */
export function draftArchitecture(base: Architecture, { num_hidden_layers, intermediate_size }: DraftShape): Architecture {
  return { ...base, num_hidden_layers, intermediate_size };
}

/** True for a feature draft, which reads a target's hidden states beside its tokens and so cannot run alone. */
export function needsFeatures({ layers }: Pick<HybridConfig, "layers">, sets: MixerSets): boolean {
  return draftOf(layers, sets)?.shape.features === true;
}

function checkDraft({ layers, architecture }: HybridConfig, sets: MixerSets): void {
  const draft = draftOf(layers, sets);
  if (!draft) return;
  const { num_hidden_layers: count, intermediate_size: inner } = draft.shape;
  const whole = layers.length === count && layers.every((text) => parseLayerSpec(text).set === draft.set);
  if (whole && architecture.num_hidden_layers === count && architecture.intermediate_size === inner) return;
  throw new HybridConfigError(
    `"${draft.set}" is a draft of ${count} layers, a model of its own: its layers stand alone and all together.`,
    `Write "${sets[draft.set]?.mixer}:${draft.set}" in ${count} layers and nothing else, or choose another set.`,
  );
}
