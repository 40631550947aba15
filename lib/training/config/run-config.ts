/** A run config with its defaults filled in: the trainer's `RunConfig` in types. */
export type Method = "pretrain" | "orient" | "align" | "distill" | "dpo" | "draft";
export type MixturePattern = { name: string; layers: number[]; share: number };
export type DataSource = { folder: string; share: number };

export type RunConfig = {
  name: string;
  method: Method;
  family: string;
  bundle: string[];
  layers: number[];
  layers_trained: number[] | null;
  train: "mixers" | "mixers+norms" | "mixers+mlp" | "all";
  pattern: "fixed" | "random" | "mixture";
  full_probability: number;
  mixture: MixturePattern[];
  random_share: number;
  architecture: Record<string, unknown> | null;
  mixer: {
    options: Record<string, unknown>;
    init: "attention" | "random";
    start_from: string | string[] | null;
    calibrate: "fresh" | "all" | "none";
    codec: "q4_0" | "q8_0" | null;
  };
  loss: { alpha: number; ce_tokens: "all" | "answers"; beta: number; temperature: number };
  dpo: { beta: number };
  draft: {
    layers: number;
    mixer: "mamba2" | "attention";
    intermediate_size: number | null;
    from_layers: number[] | null;
    start_from: string | null;
    target: string;
    features: boolean;
    passes: number;
    own_run: number;
    feature_loss: number;
  } | null;
  data: { train: string | DataSource[]; evaluation: string | null; seq_len: number };
  optimiser: {
    steps: number;
    batch: number;
    accumulate: number;
    name: "adamw" | "muon";
    learning_rate: number;
    warmup: number;
  };
  compile: boolean;
  device: "auto" | "cpu" | "cuda";
  checkpoint_activations: "none" | "layers";
  checkpoint: { sharded: boolean | null; optimiser: boolean; keep: number };
  samples: { prompts: string[]; tokens: number; temperature: number };
  log_every: number;
  eval_every: number;
  eval_batches: number;
  checkpoint_every: number;
  sample_every: number;
};
