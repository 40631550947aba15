/**
 * A hybrid as separate graphs, one a part, each on the hidden states of a whole text (1, T, D) from the empty state. Parts are shared
 * between hybrids: what a layer is replaced by is computed again, and nothing before it.
 */
import { type HybridConfig, parseLayerSpec, resolveLayers } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import type { Manifest } from "@/lib/weights/manifest";
import { type BuildOptions, EMBEDDING, matrixLookup, mlp, rmsNorm } from "./build";
import { GraphWriter } from "./graph-writer";
import { embedding, linear } from "./linear";
import { mamba2Mixer } from "./mamba2";
import { plainAttention } from "./parts-attention";
import { type GraphPlan, INPUT_IDS, LOGITS, type StateTensor } from "./plan";

/** A part of a model. `spec` is the layer's own, as in a hybrid config: a mixer set may bring its own norms and MLP. */
export type Part =
  | { readonly kind: "embed" }
  /** Hidden state -> input norm -> mixer -> what is added to the hidden state. */
  | { readonly kind: "mixer"; readonly layer: number; readonly spec: string }
  /** Hidden state and mixer output -> sum, norm, SwiGLU -> the next layer's hidden state. */
  | { readonly kind: "mlp"; readonly layer: number; readonly spec: string }
  | { readonly kind: "head" };

/** Names of the parts' inputs and outputs, beside those of whole graphs. */
export const HIDDEN = "hidden";
export const MIXED = "mixed";
export const NEXT = "next";
/** Softmax attention, (H, T, T). */
export const PROBABILITIES = "probabilities";

/** Names of what a Mamba-2 mixer can tell of itself: C (1, T, H·N), B (1, T, G·N), log decay and dt (1, T, H), y without D (1, T, H·P), x (1, T, G·P). */
export const mambaInside = (layer: number) => {
  const at = (name: string): string => `model.layers.${layer}.mamba/${name}`;
  return { C: at("C"), B: at("B"), logDecay: at("decay"), step: at("step"), read: at("read"), x: at("x") };
};

/** Parts with the same name have the same weights. */
export function partName(manifest: Manifest, part: Part): string {
  if (part.kind === "embed" || part.kind === "head") return part.kind;
  if (part.kind === "mixer") return `mixer.${part.layer}.${part.spec}`;
  const { set } = parseLayerSpec(part.spec);
  const own = Object.keys((set !== null && manifest.mixer_sets[set]?.tensors) || {});
  const prefix = `model.layers.${part.layer}.`;
  const changed = own.some((name) => name.startsWith(`${prefix}mlp.`) || name === `${prefix}post_attention_layernorm.weight`);
  return changed ? `mlp.${part.layer}.${part.spec}` : `mlp.${part.layer}`;
}

/** The hybrid in which a part stands: the teacher, but for the part's own layer. It resolves the part's tensors. */
export function partConfig(manifest: Manifest, part: Part): HybridConfig {
  const { family, architecture } = manifest;
  const layers = Array.from({ length: architecture.num_hidden_layers }, () => "attention");
  if ("layer" in part) layers[part.layer] = part.spec;
  return { family, architecture, layers };
}

/** Builds one part. Throws what `resolveLayers` and `resolveTensor` throw for a part that the bundle does not have. */
export function buildPart(manifest: Manifest, part: Part, options: Pick<BuildOptions, "format">): GraphPlan {
  const { format } = options;
  const config = partConfig(manifest, part);
  const { architecture } = config;
  const writer = new GraphWriter();
  const matrix = matrixLookup(manifest, config);
  const hidden = [1, "tokens", architecture.hidden_size] as const;
  const norm = rmsNorm(writer, architecture.rms_norm_eps, architecture.hidden_size);
  let state: StateTensor[] = [];

  switch (part.kind) {
    case "embed": {
      writer.input(INPUT_IDS, "int64", [1, "tokens"]);
      writer.node("Identity", [embedding(writer, format, INPUT_IDS, matrix(EMBEDDING))], [writer.output(HIDDEN, "float32", hidden)]);
      break;
    }
    case "mixer": {
      writer.input(HIDDEN, "float32", hidden);
      const { normed } = norm(`model.layers.${part.layer}.input_layernorm.weight`, HIDDEN, null);
      const resolved = resolveLayers(config, manifest.mixer_sets)[part.layer];
      writer.output(MIXED, "float32", hidden);
      if (resolved?.mixer === "mamba2") {
        const mixer = mamba2Mixer(writer, format, matrix, part.layer, resolved.config, normed, { out: MIXED });
        state = mixer.state;
        declareInside(writer, part.layer, resolved.config);
      } else plainAttention(writer, format, matrix, part.layer, architecture, normed, MIXED);
      break;
    }
    case "mlp": {
      const prefix = `model.layers.${part.layer}`;
      writer.input(HIDDEN, "float32", hidden);
      writer.input(MIXED, "float32", hidden);
      const { normed, sum } = norm(`${prefix}.post_attention_layernorm.weight`, HIDDEN, MIXED);
      const update = mlp(writer, format, matrix, `${prefix}.mlp`, architecture.intermediate_size, normed);
      writer.node("Add", [sum, update], [writer.output(NEXT, "float32", hidden)]);
      break;
    }
    case "head": {
      writer.input(HIDDEN, "float32", hidden);
      writer.output(LOGITS, "float32", [1, "tokens", architecture.vocab_size]);
      const { normed } = norm("model.norm.weight", HIDDEN, null);
      linear(writer, format, normed, matrix(architecture.tie_word_embeddings ? EMBEDDING : "lm_head.weight"), LOGITS);
    }
  }
  return {
    model: writer.serialise(),
    inputs: writer.inputs,
    outputs: writer.outputs,
    state,
    rollback: null,
    attentionLengths: false,
    initialisers: writer.weights,
    weightBytes: writer.weights.reduce((sum, { bytes }) => sum + bytes, 0),
    nodeCount: writer.nodeCount,
  };
}

function declareInside(writer: GraphWriter, layer: number, { num_heads: H, num_kv_heads: G, head_dim: P, state_size: N }: Mamba2Config): void {
  const names = mambaInside(layer);
  const widths = { C: H * N, B: G * N, logDecay: H, step: H, read: H * P, x: G * P };
  for (const key of ["C", "B", "logDecay", "step", "read", "x"] as const) writer.output(names[key], "float32", [1, "tokens", widths[key]]);
}
