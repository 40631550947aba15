import type { Architecture, HybridConfig } from "./config";
import type { Mamba2Config } from "./mamba2";

/** The shape of SmolLM2-135M. */
export const smollm2: Architecture = {
  model_type: "llama",
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  head_dim: 64,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  hidden_act: "silu",
};

/** The full mixer (conv, gate, norm), shaped after SmolLM2's attention. */
export const ssdMixer: Mamba2Config = {
  form: "ssd",
  num_heads: 9,
  num_kv_heads: 3,
  head_dim: 64,
  state_size: 64,
  conv_kernel: 4,
  conv_activation: "silu",
  gate: true,
  norm: "rms",
  norm_groups: 1,
  norm_eps: 1e-5,
};

/** The simplest mixer: MOHAWK's discrete form, without conv, gate and norm. */
export const discreteMixer: Mamba2Config = {
  ...ssdMixer,
  form: "discrete",
  conv_kernel: 0,
  conv_activation: "identity",
  gate: false,
  norm: "none",
};

/** A SmolLM2 hybrid with these layers. */
export function smollm2Config(layers: string[]): HybridConfig {
  return { family: "smollm2", architecture: smollm2, layers };
}
