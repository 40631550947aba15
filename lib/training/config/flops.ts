/**
 * FLOPs a token of one training step: what the method needs, not what an implementation spends. For align and distill the
 * formulas of the trainer's `benchmark/flops.py`, which a test holds against it; the others are counted in the same way.
 */
import type { Architecture } from "@/lib/hybrid/config";
import type { RunConfig } from "./run-config";

/** Replaced layers of a step, on average over the steps, and the lowest of them. */
export function replacedLayers(config: RunConfig): { count: number; first: number } {
  const all = config.layers.length;
  const first = all === 0 ? 0 : Math.min(...config.layers);
  if (config.method !== "distill" || config.pattern === "fixed") return { count: all, first };
  if (config.pattern === "random") return { count: config.full_probability * all + (1 - config.full_probability) * (all / 2), first };
  const shares = config.mixture.reduce((sum, { share }) => sum + share, 0);
  const named = config.mixture.reduce((sum, { share, layers }) => sum + (share / shares) * layers.length, 0);
  return { count: (1 - config.random_share) * named + config.random_share * (all / 2), first };
}

/** FLOPs a token of a step's forward and backward passes, the teacher's forward pass included. */
export function stepFlops(config: RunConfig, arch: Architecture): number {
  const D = arch.hidden_size;
  const inner = arch.num_attention_heads * arch.head_dim;
  const grouped = arch.num_key_value_heads * arch.head_dim;
  const mlp = 2 * 3 * D * arch.intermediate_size;
  const projections = 2 * D * (2 * inner + 2 * grouped);
  const products = 2 * 2 * inner * ((config.data.seq_len + 1) / 2);
  const inProj = 2 * D * (2 * inner + 2 * grouped + arch.num_attention_heads);
  const outProj = 2 * D * inner;
  const scan = 2 * 2 * inner * arch.head_dim;
  const head = 2 * D * arch.vocab_size;
  const depth = arch.num_hidden_layers;
  const attentionLayer = mlp + projections + products;
  const mixer = inProj + outProj + scan;
  const mixerBackward = mixer + scan + inProj + outProj;

  switch (config.method) {
    case "pretrain":
      return depth * (3 * (mlp + projections) + 3 * products) + 3 * head;
    case "draft": {
      const width = config.draft?.intermediate_size ?? arch.intermediate_size;
      const own = 2 * 3 * D * width + (config.draft?.mixer === "attention" ? projections + products : mixer);
      // Passes before the last of a draft on features go forward only; its projection is trained with the layers.
      const features = config.draft?.features ? 2 * D * D : 0;
      const before = config.draft?.features ? config.draft.passes - 1 : 0;
      return depth * attentionLayer + (3 + before) * ((config.draft?.layers ?? 2) * own + features) + 3 * head;
    }
    case "orient": {
      // Both matrices of a layer, T × T a head; the student's goes backward to C, B and dt.
      const last = Math.max(0, ...config.layers);
      return last * attentionLayer + projections + products + config.layers.length * (products + 3 * inProj + 3 * products);
    }
    case "align": {
      // A mixer's input is the teacher's: it has no gradient.
      const teacher = attentionLayer * Math.max(0, ...config.layers) + projections + products;
      return teacher + config.layers.length * (mixer + (outProj + scan * 2) + inProj + outProj);
    }
    default: {
      const { count, first } = replacedLayers(config);
      const base = config.train === "all" ? depth : config.train === "mixers" ? 0 : count;
      const from = config.train === "all" ? 0 : first;
      const kept = depth - from - count;
      const forward = (mlp + mixer) * count + attentionLayer * kept;
      const backward = (mlp + mixerBackward) * count + (attentionLayer + products) * kept + base * mlp + (config.train === "all" ? kept * projections : 0);
      const total = attentionLayer * depth + forward + backward - inProj + head * 3;
      return config.method === "dpo" ? 2 * total : total;
    }
  }
}
