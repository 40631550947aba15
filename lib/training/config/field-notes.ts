/** What the form adds to each field of the schema: its section and label, its unit, and when it matters. */
import type { Method } from "./run-config";

export const sectionIds = ["layers", "method", "mixer", "data", "optimiser", "records", "machine"] as const;
export type SectionId = (typeof sectionIds)[number];

export const sectionTitles: Record<SectionId, string> = {
  layers: "Teacher and layers",
  method: "Method",
  mixer: "Mixers",
  data: "Data",
  optimiser: "Optimiser",
  records: "Measures, samples, checkpoints",
  machine: "Speed and memory",
};

/** The values that decide which fields matter; each with its default filled in. */
export type Situation = {
  readonly method: Method;
  readonly pattern: string;
  readonly schedule: string;
  readonly optimiser: string;
  readonly draftMixer: string;
  readonly draftFeatures: boolean;
  readonly alpha: number;
  readonly sampleEvery: number;
};

export type Note = {
  readonly section: SectionId;
  readonly label: string;
  readonly unit?: string;
  /** Folded away until asked for. */
  readonly advanced?: boolean;
  /** Left out: always. */
  readonly matters?: (situation: Situation) => boolean;
};

const of =
  (...methods: Method[]) =>
  ({ method }: Situation): boolean =>
    methods.includes(method);
const hybrid = of("orient", "align", "distill", "dpo");
const endToEnd = of("distill", "dpo");
const onFeatures = (s: Situation): boolean => s.method === "draft" && s.draftFeatures;
const trainsMamba = (s: Situation): boolean => hybrid(s) || (s.method === "draft" && s.draftMixer === "mamba2");

/** By path. A test holds the keys against the schema's fields. */
export const fieldNotes: Record<string, Note> = {
  family: { section: "layers", label: "Teacher" },
  bundle: { section: "layers", label: "Model folders", advanced: true },
  layers: { section: "layers", label: "Layers that become Mamba-2", matters: hybrid },
  layers_trained: { section: "layers", label: "Layers that train", advanced: true, matters: endToEnd },
  pattern: { section: "layers", label: "Pattern of a step", matters: of("distill") },
  full_probability: { section: "layers", label: "Steps with all layers replaced", unit: "share", matters: ({ method, pattern }) => method === "distill" && pattern === "random" },
  mixture: { section: "layers", label: "Patterns", matters: ({ method, pattern }) => method === "distill" && pattern === "mixture" },
  random_share: { section: "layers", label: "Steps with a random pattern", unit: "share", matters: ({ method, pattern }) => method === "distill" && pattern === "mixture" },
  architecture: { section: "layers", label: "Shape of the new model", matters: of("pretrain") },

  method: { section: "method", label: "Method" },
  train: { section: "method", label: "What trains", matters: endToEnd },
  "loss.beta": { section: "method", label: "Weight of the KL", matters: of("distill") },
  "loss.alpha": { section: "method", label: "Weight of the cross-entropy", matters: of("distill") },
  "loss.ce_tokens": { section: "method", label: "Cross-entropy of", matters: ({ method, alpha }) => method === "distill" && alpha > 0 },
  "loss.temperature": { section: "method", label: "Temperature of the KL", advanced: true, matters: of("distill", "draft") },
  "dpo.beta": { section: "method", label: "Tie to the teacher", matters: of("dpo") },
  "draft.layers": { section: "method", label: "Layers of the draft", matters: of("draft") },
  "draft.mixer": { section: "method", label: "Mixer of the draft", matters: of("draft") },
  "draft.intermediate_size": { section: "method", label: "MLP width of the draft", unit: "channels", advanced: true, matters: of("draft") },
  "draft.from_layers": { section: "method", label: "Teacher's layers to start from", advanced: true, matters: of("draft") },
  "draft.start_from": { section: "method", label: "Draft to start from", advanced: true, matters: of("draft") },
  "draft.target": { section: "method", label: "Variant to guess for", matters: of("draft") },
  "draft.features": { section: "method", label: "Reads the target's hidden states", matters: of("draft") },
  "draft.passes": { section: "method", label: "Passes a step", advanced: true, matters: onFeatures },
  "draft.own_run": { section: "method", label: "Longest run of own features", unit: "tokens", advanced: true, matters: onFeatures },
  "draft.feature_loss": { section: "method", label: "Weight of the hidden states' distance", advanced: true, matters: onFeatures },

  "mixer.start_from": { section: "mixer", label: "Where mixers start", matters: trainsMamba },
  "mixer.init": { section: "mixer", label: "Start of new mixers", matters: trainsMamba },
  "mixer.codec": { section: "mixer", label: "Train through a codec", matters: (s) => s.method !== "pretrain" },
  "mixer.calibrate": { section: "mixer", label: "Scale to attention's length", advanced: true, matters: of("align", "distill") },

  "data.train": { section: "data", label: "Training data" },
  "data.evaluation": { section: "data", label: "Held-out data" },
  "data.seq_len": { section: "data", label: "Length of a sequence", unit: "tokens" },

  "optimiser.steps": { section: "optimiser", label: "Steps" },
  "optimiser.batch": { section: "optimiser", label: "Batch", unit: "sequences" },
  "optimiser.learning_rate": { section: "optimiser", label: "Learning rate" },
  "optimiser.warmup": { section: "optimiser", label: "Warm-up", unit: "steps" },
  "optimiser.accumulate": { section: "optimiser", label: "Micro-batches a step", advanced: true },
  "optimiser.name": { section: "optimiser", label: "Optimiser", advanced: true },
  "optimiser.adam_learning_rate": { section: "optimiser", label: "Learning rate of AdamW", advanced: true, matters: ({ optimiser }) => optimiser === "muon" },
  "optimiser.momentum": { section: "optimiser", label: "Momentum of Muon", advanced: true, matters: ({ optimiser }) => optimiser === "muon" },
  "optimiser.schedule": { section: "optimiser", label: "Schedule", advanced: true },
  "optimiser.decay_fraction": { section: "optimiser", label: "Decay", unit: "share of steps", advanced: true, matters: ({ schedule }) => schedule === "wsd" },
  "optimiser.final_fraction": { section: "optimiser", label: "Last rate over the peak", advanced: true },
  "optimiser.weight_decay": { section: "optimiser", label: "Weight decay", advanced: true },
  "optimiser.beta2": { section: "optimiser", label: "AdamW's beta2", advanced: true },
  "optimiser.clip": { section: "optimiser", label: "Clip the gradient at", advanced: true },

  log_every: { section: "records", label: "Losses every", unit: "steps" },
  eval_every: { section: "records", label: "Evaluate every", unit: "steps" },
  eval_batches: { section: "records", label: "Batches an evaluation", advanced: true },
  sample_every: { section: "records", label: "Samples of text every", unit: "steps" },
  "samples.prompts": { section: "records", label: "Prompts of the samples", advanced: true, matters: ({ sampleEvery }) => sampleEvery > 0 },
  "samples.tokens": { section: "records", label: "Length of a sample", unit: "tokens", advanced: true, matters: ({ sampleEvery }) => sampleEvery > 0 },
  "samples.temperature": { section: "records", label: "Temperature of the samples", advanced: true, matters: ({ sampleEvery }) => sampleEvery > 0 },
  checkpoint_every: { section: "records", label: "Checkpoint every", unit: "steps" },
  "checkpoint.keep": { section: "records", label: "Checkpoints kept", advanced: true },
  "checkpoint.optimiser": { section: "records", label: "Keep the optimiser in them", advanced: true },
  "checkpoint.sharded": { section: "records", label: "Shards, one a process", advanced: true },

  device: { section: "machine", label: "Device" },
  compile: { section: "machine", label: "Compile" },
  cuda_graph: { section: "machine", label: "CUDA graph", advanced: true },
  checkpoint_activations: { section: "machine", label: "Recompute activations", advanced: true },
  "parallel.strategy": { section: "machine", label: "Several processes", advanced: true },
  seed: { section: "machine", label: "Seed" },
};

/** What each choice of a field means; shown in the place of the field's explanation. */
export const choiceNotes: Record<string, Record<string, { readonly title: string; readonly about: string }>> = {
  method: {
    distill: { title: "Distill: the whole model", about: "The hybrid learns the teacher's next-token distribution (Mamba in the Llama; MOHAWK's stage 3)." },
    align: { title: "Align: hidden states", about: "Each mixer learns the output of the attention that it replaces (MOHAWK's stage 2)." },
    orient: { title: "Orient: mixing matrices", about: "Each mixer learns attention's T × T matrix (MOHAWK's stage 1). Comes before align." },
    dpo: { title: "DPO: preferences", about: "The hybrid learns to prefer one answer to another, the teacher as reference. For hybrids that are distilled already." },
    draft: { title: "Draft: speculation", about: "A small model of its own that guesses the teacher's next tokens, for speculative decoding." },
    pretrain: { title: "Pretrain: a new teacher", about: "A Llama-shaped model from nothing." },
  },
  pattern: {
    fixed: { title: "fixed", about: "Every step replaces all the layers above." },
    random: { title: "random", about: "A step replaces a subset by chance, so that each layer can be swapped alone." },
    mixture: { title: "mixture", about: "A step takes one of several patterns: one set of mixers serves them all." },
  },
  train: {
    mixers: { title: "mixers", about: "The Mamba-2 mixers alone: the base stays the teacher's, and the export is small." },
    "mixers+norms": { title: "mixers and norms", about: "With the norms of the replaced layers." },
    "mixers+mlp": { title: "mixers, norms and MLPs", about: "With the norms and MLPs of the replaced layers: nearer to the teacher, more memory." },
    all: { title: "all layers", about: "All layers and the last norm, but for embedding and LM head. No bundle can be exported: its variants share the base." },
  },
  "mixer.options.form": {
    ssd: { title: "SSD", about: "Mamba-2's own layout: dt by softplus, a decay A a head (Mamba in the Llama)." },
    discrete: { title: "discrete", about: "MOHAWK's: a decay a token and head, no dt on the input. Nearer to attention from the start; what ships." },
  },
};
