/**
 * Memory and disk that a run takes. The constants of activations are fitted to the peaks that the shipped runs recorded
 * (results/runs, `memory_gib`): those of SmolLM2 and the stories on one to three GPUs come out within a tenth.
 */
import type { Architecture } from "@/lib/hybrid/config";
import { attentionParameters, mamba2Parameters, sharedParameters } from "@/lib/hybrid/accounting";
import { mamba2ConfigSchema } from "@/lib/hybrid/mamba2";
import type { RunConfig } from "./run-config";
import { replacedLayers } from "./flops";

/** Bytes kept for the backward pass, a token, layer and channel of hidden_size + intermediate_size, with 16-bit activations and fused kernels. */
const KEPT = { mamba2: 8.7, attention: 5.8 } as const;
/** The same in float32 with PyTorch's own operations, as on a CPU. */
const CPU_FACTOR = 3.2;
/** Tokens whose logits are held at once. */
const HEAD_CHUNK = 4096;
/** PyTorch itself. */
const CPU_RUNTIME = 600e6;

export type Parameters = { readonly teacher: number; readonly student: number; readonly trained: number };

/** Parameters of a run's teacher, of what the student has beside it, and of what trains. */
export function countParameters(config: RunConfig, arch: Architecture): Parameters {
  const { hidden_size: D, intermediate_size: F, num_hidden_layers: depth } = arch;
  const shared = sharedParameters(arch);
  const teacher = shared + depth * (attentionParameters(arch) + 3 * D * F + 2 * D);
  if (config.method === "pretrain") return { teacher: 0, student: teacher, trained: teacher };
  const mixer = mixerParameters(config, arch);
  if (config.method === "draft") {
    const shape = config.draft;
    const layer = (shape?.mixer === "attention" ? attentionParameters(arch) : mixer) + 3 * D * (shape?.intermediate_size ?? F) + 2 * D;
    const own = (shape?.layers ?? 2) * layer + D + (shape?.features ? D * D : 0);
    return { teacher, student: own, trained: own };
  }
  const count = config.layers.length;
  const trainedLayers = config.layers_trained?.length ?? count;
  const mixers = count * mixer;
  const base = { mixers: 0, "mixers+norms": trainedLayers * 2 * D, "mixers+mlp": trainedLayers * (3 * D * F + 2 * D), all: depth * (3 * D * F + 2 * D) + (depth - count) * attentionParameters(arch) + D }[config.train];
  const copied = config.train === "mixers" ? 0 : teacher;
  return { teacher, student: mixers + copied, trained: trainedLayers * mixer + base };
}

function mixerParameters(config: RunConfig, arch: Architecture): number {
  const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: size } = arch;
  const like = { form: "ssd", num_heads: heads, num_kv_heads: groups, head_dim: size, state_size: size, conv_kernel: 4, conv_activation: "silu", gate: true, norm: "rms", norm_groups: 1, norm_eps: 1e-5 };
  const mamba = mamba2ConfigSchema.safeParse({ ...like, ...config.mixer.options });
  return mamba.success ? mamba2Parameters(mamba.data, arch.hidden_size) : attentionParameters(arch);
}

/** Bytes at the peak of a step: of one GPU's memory, or of the machine's on a CPU. */
export function memoryBytes(config: RunConfig, arch: Architecture, gpu: boolean, devices: number): number {
  const { teacher, student, trained } = countParameters(config, arch);
  const frozen = (teacher + Math.max(0, student - trained)) * (gpu ? 2 : 4);
  const optimiser = config.optimiser.name === "muon" ? 12 : 16;
  const weights = frozen + trained * optimiser;
  const rows = config.optimiser.batch / config.optimiser.accumulate / devices;
  const tokens = rows * config.data.seq_len * (config.method === "dpo" ? 2 : 1);
  const chunk = config.method === "align" || config.method === "orient" ? 0 : Math.min(tokens, HEAD_CHUNK) * arch.vocab_size * 8;
  return weights + (keptActivations(config, arch, tokens) * (gpu ? 1 : CPU_FACTOR) + chunk) + (gpu ? 0 : CPU_RUNTIME);
}

function keptActivations(config: RunConfig, arch: Architecture, tokens: number): number {
  const { hidden_size: D, intermediate_size: F, num_hidden_layers: depth } = arch;
  const layer = (D + F) * tokens;
  if (config.method === "align") return 2 * KEPT.mamba2 * layer;
  if (config.method === "orient") {
    // Attention's and the mixer's matrices of one layer, T × T a head, and their gradients.
    return 2 * KEPT.mamba2 * layer + 6 * arch.num_attention_heads * config.data.seq_len * tokens * 2;
  }
  if (config.method === "draft") return (config.draft?.layers ?? 2) * KEPT.mamba2 * layer + tokens * D * 8;
  const { first } = replacedLayers(config);
  const count = config.method === "pretrain" ? 0 : config.layers.length;
  const from = config.method === "pretrain" || config.train === "all" ? 0 : first;
  const kept = depth - from - count;
  if (config.checkpoint_activations === "layers") return (depth - from) * D * tokens * 4 + KEPT.mamba2 * layer;
  const wholeBase = config.method === "pretrain" || config.train === "all" ? 1.6 : config.train === "mixers+mlp" ? 1.2 : 1;
  return (count * KEPT.mamba2 + kept * KEPT.attention) * layer * wholeBase;
}

/** Bytes that the run directory grows to, checkpoints and export included; the data are not. */
export function diskBytes(stages: readonly RunConfig[], arch: Architecture): number {
  const last = stages.at(-1);
  if (!last) return 0;
  const { trained, student } = countParameters(last, arch);
  const held = Math.max(trained, last.method === "pretrain" || last.method === "draft" ? student : last.layers.length * mixerParameters(last, arch));
  const checkpoint = held * 4 + (last.checkpoint.optimiser ? trained * (last.optimiser.name === "muon" ? 4 : 8) : 0);
  const saved = stages.reduce((sum, { optimiser, checkpoint_every: every }) => sum + Math.max(1, Math.floor(optimiser.steps / every)), 0);
  // One more while the newest is written.
  const checkpoints = checkpoint * (Math.min(last.checkpoint.keep, saved) + 1);
  const lines = stages.reduce((sum, stage) => sum + (stage.optimiser.steps / stage.log_every) * (stage.method === "align" ? 60 * stage.layers.length + 250 : 320), 0);
  return checkpoints + lines + held * 1.1;
}
