import { z } from "zod";

/**
 * The shape and the options of a Mamba-2 mixer. `num_heads` (H) query-like heads read `num_kv_heads` (G) groups of
 * x and B, as grouped-query attention does; `head_dim` is P, `state_size` is N.
 */
export const mamba2ConfigSchema = z
  .strictObject({
    form: z.enum(["ssd", "discrete"]),
    num_heads: z.int().positive(),
    num_kv_heads: z.int().positive(),
    head_dim: z.int().positive(),
    state_size: z.int().positive(),
    conv_kernel: z.union([z.literal(4), z.literal(0)]),
    conv_activation: z.enum(["silu", "identity"]),
    gate: z.boolean(),
    norm: z.enum(["none", "rms"]),
    norm_groups: z.int().positive(),
    norm_eps: z.number().positive(),
  })
  .superRefine((config, context) => {
    if (config.num_heads % config.num_kv_heads !== 0) {
      context.addIssue({
        code: "custom",
        path: ["num_kv_heads"],
        message: `num_heads (${config.num_heads}) must be a multiple of num_kv_heads (${config.num_kv_heads})`,
      });
    }
    if (config.norm_groups !== 1 && config.norm_groups !== config.num_heads) {
      context.addIssue({
        code: "custom",
        path: ["norm_groups"],
        message: `norm_groups must be 1 or num_heads (${config.num_heads}), not ${config.norm_groups}`,
      });
    }
  });

export type Mamba2Config = z.infer<typeof mamba2ConfigSchema>;

/** Widths, in elements, of the parts of a Mamba-2 mixer. */
export interface Mamba2Widths {
  /** z: H·P if the mixer is gated, else 0. */
  readonly z: number;
  /** x: G·P. */
  readonly x: number;
  /** B: G·N. */
  readonly B: number;
  /** C: H·N. */
  readonly C: number;
  /** dt: H. */
  readonly dt: number;
  /** Rows of `in_proj.weight`: z + x + B + C + dt, in this order. */
  readonly inProj: number;
  /** Channels of the convolution: x + B + C. */
  readonly conv: number;
  /** Columns of `out_proj.weight`: H·P. */
  readonly inner: number;
}

/** The widths that follow from a mixer's config. */
export function mamba2Widths(config: Mamba2Config): Mamba2Widths {
  const inner = config.num_heads * config.head_dim;
  const z = config.gate ? inner : 0;
  const x = config.num_kv_heads * config.head_dim;
  const B = config.num_kv_heads * config.state_size;
  const C = config.num_heads * config.state_size;
  const dt = config.num_heads;
  return { z, x, B, C, dt, inProj: z + x + B + C + dt, conv: x + B + C, inner };
}
