/** Where a new run starts from: a complete job, a shipped recipe, or nothing. */
import type { ConfigDocument, JobStep } from "../types";
import { type DataName, dataSteps } from "./data-steps";
import { type RecipeName, recipes } from "./recipes";

export const presetGroups = ["Start here", "SmolLM2-135M", "Stories", "Small trials", "Ablations"] as const;
export type PresetGroup = (typeof presetGroups)[number];

export type Preset = {
  readonly id: string;
  readonly title: string;
  /** What it does and what comes out, in a sentence or two. */
  readonly summary: string;
  readonly group: PresetGroup;
  /** Paths are relative to the project, as in the recipes. */
  readonly config: ConfigDocument;
  /** Steps that make the data before training. */
  readonly data: readonly JobStep[];
  /** Takes hours on a CPU. */
  readonly gpu: boolean;
  /** What must be there before, and no step makes. */
  readonly needs: readonly string[];
};

type Details = { title: string; summary: string; group: PresetGroup; data: DataName; gpu?: boolean; needs?: string[] };

const humanText = "Human text in data/training/smollm2/human, made as trainer/recipes/human-text.md says.";
const human = "Human text in data/training/smollm2/human and …/encyclopedia, made as trainer/recipes/human-text.md says, and data/training/smollm2/evaluation-mixed.";
const after = (...runs: string[]): string => `The result of ${runs.join(" and ")}: choose a run or a mixer set under “Where mixers start”.`;

const details: Record<RecipeName, Details> = {
  "stories-demo": { title: "Quick demo", group: "Start here", data: "tiny", summary: "Turns half of the attention of the 8M stories model into Mamba-2. Makes its data, trains, evaluates and exports: about 2 minutes on a CPU, and a hybrid to chat with." },
  "smollm2-attn50": { title: "SmolLM2, 50% attention", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [human, after("smollm2-attn50-interleaved", "smollm2-aligned-random")], summary: "Distillation on three kinds of text, with the 15 layers that select kept as attention: the first part of the shipped attn50." },
  "smollm2-attn50-long": { title: "SmolLM2, 50% attention, trained on", group: "SmolLM2-135M", data: "smollm2-low", gpu: true, needs: [human], summary: "From the shipped attn50 on: 282 million more tokens, a tenth of them answers at low temperatures. What ships." },
  "smollm2-dpo": { title: "SmolLM2, DPO", group: "SmolLM2-135M", data: "smollm2-pairs", gpu: true, summary: "The last six mixers of attn50 tuned on pairs, the teacher's answer against the hybrid's own: the shipped dpo. The teacher is the reference." },
  "smollm2-aligned": { title: "SmolLM2, one set for 25, 12.5 and 0%", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [human, after("smollm2-aligned-random")], summary: "One set of mixers that serves three patterns, and a random subset in a fifth of the steps: the shipped set aligned." },
  "smollm2-align": { title: "SmolLM2, hidden states of all layers", group: "SmolLM2-135M", data: "smollm2", gpu: true, summary: "MOHAWK's stage 2 for all 30 layers: each mixer learns its attention's output. What the other recipes start from." },
  "smollm2-align-odd": { title: "SmolLM2, hidden states of odd layers", group: "SmolLM2-135M", data: "smollm2", gpu: true, summary: "Stage 2 for layers 1, 3, … 29, before distilling them alone." },
  "smollm2-align-paper": { title: "SmolLM2, stage 2 with the paper's mixer", group: "SmolLM2-135M", data: "smollm2", gpu: true, summary: "As above with Mamba-2's own layout (SSD, norm, SiLU), to compare with the discrete form that ships." },
  "smollm2-aligned-random": { title: "SmolLM2, random patterns", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [after("smollm2-align")], summary: "Distillation with a random subset of the layers replaced at each step: every layer can be swapped alone." },
  "smollm2-attn50-interleaved": { title: "SmolLM2, every second layer", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [after("smollm2-align-odd")], summary: "Distillation with the odd layers replaced, through the 4-bit codec that ships." },
  "smollm2-attn0": { title: "SmolLM2, all Mamba", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [after("smollm2-align")], summary: "No attention left. Came out 0.011 nat a token nearer to the teacher than the shared set." },
  "smollm2-draft2": { title: "SmolLM2, Mamba-2 draft of the teacher", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [human, after("smollm2-aligned-random")], summary: "A draft of two Mamba-2 layers for speculative decoding, on the base's frozen embedding and LM head, that learns the teacher's distribution." },
  "smollm2-draft2-attn50": { title: "SmolLM2, Mamba-2 draft", group: "SmolLM2-135M", data: "smollm2-low", gpu: true, needs: [humanText], summary: "The same draft learns attn50's distribution, most of it on answers at low temperatures: the shipped draft2." },
  "smollm2-draft2-attention": { title: "SmolLM2, attention draft", group: "SmolLM2-135M", data: "smollm2", gpu: true, needs: [human], summary: "A draft of two attention layers that learns the teacher's distribution, to compare with: the shipped draft2-attention." },
  "smollm2-eagle2": { title: "SmolLM2, draft on features", group: "SmolLM2-135M", data: "smollm2-own", gpu: true, summary: "From the shipped draft2 on: two Mamba-2 layers that also read attn50's hidden states (EAGLE), and their own where they decode. It runs beside attn50 alone: the shipped eagle2." },
  "stories-attn50": { title: "Stories, 50% attention", group: "Stories", data: "stories", gpu: true, summary: "From the shipped sets attn50 and aligned, with the layers 0, 1, 3 and 6 that select kept as attention: the shipped attn50." },
  "stories-attn50-interleaved": { title: "Stories, every second layer", group: "Stories", data: "stories", gpu: true, needs: [after("stories-align")], summary: "Distillation with the odd layers replaced, whatever they are worth." },
  "stories-dpo": { title: "Stories, DPO", group: "Stories", data: "stories-pairs", summary: "The last two mixers of attn50 tuned on pairs, how a story goes on against the end of another: the shipped dpo. Less than 10 minutes on a CPU." },
  "stories-align": { title: "Stories, hidden states of all layers", group: "Stories", data: "stories", gpu: true, summary: "MOHAWK's stage 2 for all 8 layers; the other stories recipes start from it." },
  "stories-aligned-random": { title: "Stories, random patterns", group: "Stories", data: "stories", gpu: true, needs: [after("stories-align")], summary: "Distillation with a random subset of the layers replaced at each step." },
  "stories-aligned": { title: "Stories, one set for 25, 12.5 and 0%", group: "Stories", data: "stories", gpu: true, needs: [after("stories-aligned-random")], summary: "One set of mixers that serves three patterns." },
  "stories-draft2": { title: "Stories, Mamba-2 draft", group: "Stories", data: "stories", gpu: true, summary: "A draft of two Mamba-2 layers that starts from the shipped set aligned and learns attn50's distribution: the shipped draft2." },
  "stories-draft2-attention": { title: "Stories, attention draft", group: "Stories", data: "stories", gpu: true, summary: "The same draft with attention." },
  "stories-eagle2": { title: "Stories, draft on features", group: "Stories", data: "stories", gpu: true, summary: "From the shipped draft2 on: two Mamba-2 layers that also read attn50's hidden states (EAGLE), and their own where they decode: the shipped eagle2." },
  "stories-teacher": { title: "Stories, a new teacher", group: "Stories", data: "stories", gpu: true, summary: "Pretrains the 8M stories model from nothing." },
  "tiny-interleaved": { title: "Norms and MLPs too", group: "Small trials", data: "tiny", summary: "Mamba in the Llama on a CPU: every second layer, CE and KL together, MLPs of the replaced layers trained." },
  "tiny-mohawk": { title: "MOHAWK's three stages", group: "Small trials", data: "tiny", summary: "Matrix orientation, hidden states, distillation: a pipeline in one run, on a CPU." },
  "tiny-stepwise": { title: "Step by step to no attention", group: "Small trials", data: "tiny", summary: "50, 25, 12.5, 0% attention, each step from the one before." },
  "tiny-mixture": { title: "One set, several patterns", group: "Small trials", data: "tiny", summary: "Mixers that serve 50, 25 and 0% attention, from the shipped set aligned." },
  "tiny-dpo": { title: "DPO", group: "Small trials", data: "tiny-pairs", summary: "Preference tuning of two layers of attn50, the teacher as reference." },
  "tiny-muon": { title: "Muon", group: "Small trials", data: "tiny", summary: "The Muon optimiser with warm-up, constant rate and decay." },
  "ablation-init-attention": { title: "Start: attention", group: "Ablations", data: "stories", gpu: true, summary: "Mixers initialised from attention, 600 steps." },
  "ablation-init-random": { title: "Start: random", group: "Ablations", data: "stories", gpu: true, summary: "The same with random mixers." },
  "ablation-replace-stepwise": { title: "Replacement: step by step", group: "Ablations", data: "stories", gpu: true, summary: "To 12.5% attention in three steps of 200." },
  "ablation-replace-interleaved": { title: "Replacement: at once", group: "Ablations", data: "stories", gpu: true, summary: "To 12.5% attention at once, 600 steps." },
  "ablation-stages-1-2-3": { title: "Stages 1, 2, 3", group: "Ablations", data: "stories", gpu: true, summary: "All three of MOHAWK's stages, all layers, 600 steps in all." },
  "ablation-stages-2-3": { title: "Stages 2, 3", group: "Ablations", data: "stories", gpu: true, summary: "Without matrix orientation." },
  "ablation-stages-1-3": { title: "Stages 1, 3", group: "Ablations", data: "stories", gpu: true, summary: "Without hidden states." },
  "ablation-stages-3": { title: "Stage 3 alone", group: "Ablations", data: "stories", gpu: true, summary: "Distillation alone." },
};

const storyteller = "SmolLM2's weights in the node's models folder: a part of the stories is sampled from it. On this machine the Models page fetches them; on another, any SmolLM2 run brings them.";

/** A distillation with nothing but what must be said. */
const blank: Preset = {
  id: "blank",
  title: "Blank",
  summary: "Distillation with the trainer's defaults. Choose the teacher, its layers and your data.",
  group: "Start here",
  config: {
    name: "new-run",
    method: "distill",
    family: "stories",
    bundle: ["data/models", "public/models"],
    layers: [],
    data: { train: "data/training/mine/train", evaluation: "data/training/mine/evaluation", seq_len: 512 },
    optimiser: { steps: 1000, batch: 32, learning_rate: 0.001 },
  },
  data: [],
  gpu: false,
  needs: ["Token rows in data/training/mine: make them with prepare or generate (docs/training.md), or name another folder."],
};

export const presets: readonly Preset[] = [
  ...(Object.keys(details) as RecipeName[]).map((id): Preset => {
    const { data, gpu = false, needs = [], ...shown } = details[id];
    // JSON modules are typed value by value; here a recipe is any document.
    return { id, ...shown, config: recipes[id] as unknown as ConfigDocument, data: dataSteps[data], gpu, needs: data === "stories" ? [storyteller, ...needs] : needs };
  }),
  blank,
];

export function findPreset(id: string): Preset | undefined {
  return presets.find((preset) => preset.id === id);
}
