import { type Architecture, type HybridConfig, type MixerSets, needsFeatures, resolveLayers } from "./config";
import { type Mamba2Config, mamba2Widths } from "./mamba2";

/** A tensor that a hybrid is made of. `layer` is null for the embedding, a feature draft's projection, the last norm and the LM head. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layer: number | null;
}

const LAST_NORM = "model.norm.weight";

/** What a feature draft multiplies the target's hidden states with. */
export const FEATURES_PROJECTION = "model.features_proj.weight";

/** True for the tensors that a draft owns: all but the embedding and the LM head, which are its base's. */
export function isOfDraft({ name, layer }: Pick<TensorSpec, "name" | "layer">): boolean {
  return layer !== null || name === LAST_NORM || name === FEATURES_PROJECTION;
}

/** Name and shape of each tensor of an attention mixer. */
export function attentionTensors(architecture: Architecture, layer: number): TensorSpec[] {
  const { hidden_size: width, head_dim: dim } = architecture;
  const queries = architecture.num_attention_heads * dim;
  const groups = architecture.num_key_value_heads * dim;
  const prefix = `model.layers.${layer}.self_attn`;
  return [
    { name: `${prefix}.q_proj.weight`, shape: [queries, width], layer },
    { name: `${prefix}.k_proj.weight`, shape: [groups, width], layer },
    { name: `${prefix}.v_proj.weight`, shape: [groups, width], layer },
    { name: `${prefix}.o_proj.weight`, shape: [width, queries], layer },
  ];
}

/** Name and shape of each tensor of a Mamba-2 mixer. */
export function mamba2Tensors(config: Mamba2Config, hiddenSize: number, layer: number): TensorSpec[] {
  const widths = mamba2Widths(config);
  const heads = config.num_heads;
  const prefix = `model.layers.${layer}.mamba`;
  const tensors: TensorSpec[] = [{ name: `${prefix}.in_proj.weight`, shape: [widths.inProj, hiddenSize], layer }];
  if (config.conv_kernel > 0) {
    tensors.push(
      { name: `${prefix}.conv1d.weight`, shape: [widths.conv, config.conv_kernel], layer },
      { name: `${prefix}.conv1d.bias`, shape: [widths.conv], layer },
    );
  }
  tensors.push({ name: `${prefix}.dt_bias`, shape: [heads], layer });
  if (config.form === "ssd") tensors.push({ name: `${prefix}.A_log`, shape: [heads], layer });
  tensors.push({ name: `${prefix}.D`, shape: [heads], layer });
  if (config.norm === "rms") tensors.push({ name: `${prefix}.norm.weight`, shape: [widths.inner], layer });
  tensors.push({ name: `${prefix}.out_proj.weight`, shape: [hiddenSize, widths.inner], layer });
  return tensors;
}

/** Every tensor that a hybrid needs, in the order of the forward pass. Throws HybridConfigError as resolveLayers does. */
export function requiredTensors(config: HybridConfig, sets: MixerSets): TensorSpec[] {
  const { hidden_size: width, intermediate_size: inner, vocab_size: vocabulary } = config.architecture;
  const tensors: TensorSpec[] = [{ name: "model.embed_tokens.weight", shape: [vocabulary, width], layer: null }];
  if (needsFeatures(config, sets)) tensors.push({ name: FEATURES_PROJECTION, shape: [width, width], layer: null });
  resolveLayers(config, sets).forEach((resolved, layer) => {
    const prefix = `model.layers.${layer}`;
    tensors.push({ name: `${prefix}.input_layernorm.weight`, shape: [width], layer });
    tensors.push(
      ...(resolved.mixer === "attention"
        ? attentionTensors(config.architecture, layer)
        : mamba2Tensors(resolved.config, width, layer)),
    );
    tensors.push(
      { name: `${prefix}.post_attention_layernorm.weight`, shape: [width], layer },
      { name: `${prefix}.mlp.gate_proj.weight`, shape: [inner, width], layer },
      { name: `${prefix}.mlp.up_proj.weight`, shape: [inner, width], layer },
      { name: `${prefix}.mlp.down_proj.weight`, shape: [width, inner], layer },
    );
  });
  tensors.push({ name: LAST_NORM, shape: [width], layer: null });
  if (!config.architecture.tie_word_embeddings) {
    tensors.push({ name: "lm_head.weight", shape: [vocabulary, width], layer: null });
  }
  return tensors;
}
