/** The recipes of `trainer/recipes`, by name. A test holds this list against the folder. */
import ablationInitAttention from "@/trainer/recipes/ablation-init-attention.json";
import ablationInitRandom from "@/trainer/recipes/ablation-init-random.json";
import ablationReplaceInterleaved from "@/trainer/recipes/ablation-replace-interleaved.json";
import ablationReplaceStepwise from "@/trainer/recipes/ablation-replace-stepwise.json";
import ablationStages123 from "@/trainer/recipes/ablation-stages-1-2-3.json";
import ablationStages13 from "@/trainer/recipes/ablation-stages-1-3.json";
import ablationStages23 from "@/trainer/recipes/ablation-stages-2-3.json";
import ablationStages3 from "@/trainer/recipes/ablation-stages-3.json";
import smollm2AlignOdd from "@/trainer/recipes/smollm2-align-odd.json";
import smollm2AlignPaper from "@/trainer/recipes/smollm2-align-paper.json";
import smollm2Align from "@/trainer/recipes/smollm2-align.json";
import smollm2AlignedRandom from "@/trainer/recipes/smollm2-aligned-random.json";
import smollm2Aligned from "@/trainer/recipes/smollm2-aligned.json";
import smollm2Attn0 from "@/trainer/recipes/smollm2-attn0.json";
import smollm2Attn50Interleaved from "@/trainer/recipes/smollm2-attn50-interleaved.json";
import smollm2Attn50Long from "@/trainer/recipes/smollm2-attn50-long.json";
import smollm2Attn50 from "@/trainer/recipes/smollm2-attn50.json";
import smollm2Dpo from "@/trainer/recipes/smollm2-dpo.json";
import smollm2Draft2Attention from "@/trainer/recipes/smollm2-draft2-attention.json";
import smollm2Draft2Attn50 from "@/trainer/recipes/smollm2-draft2-attn50.json";
import smollm2Draft2 from "@/trainer/recipes/smollm2-draft2.json";
import smollm2Eagle2 from "@/trainer/recipes/smollm2-eagle2.json";
import storiesAlign from "@/trainer/recipes/stories-align.json";
import storiesAlignedRandom from "@/trainer/recipes/stories-aligned-random.json";
import storiesAligned from "@/trainer/recipes/stories-aligned.json";
import storiesAttn50Interleaved from "@/trainer/recipes/stories-attn50-interleaved.json";
import storiesAttn50 from "@/trainer/recipes/stories-attn50.json";
import storiesDemo from "@/trainer/recipes/stories-demo.json";
import storiesDpo from "@/trainer/recipes/stories-dpo.json";
import storiesDraft2Attention from "@/trainer/recipes/stories-draft2-attention.json";
import storiesDraft2 from "@/trainer/recipes/stories-draft2.json";
import storiesEagle2 from "@/trainer/recipes/stories-eagle2.json";
import storiesTeacher from "@/trainer/recipes/stories-teacher.json";
import tinyDpo from "@/trainer/recipes/tiny-dpo.json";
import tinyInterleaved from "@/trainer/recipes/tiny-interleaved.json";
import tinyMixture from "@/trainer/recipes/tiny-mixture.json";
import tinyMohawk from "@/trainer/recipes/tiny-mohawk.json";
import tinyMuon from "@/trainer/recipes/tiny-muon.json";
import tinyStepwise from "@/trainer/recipes/tiny-stepwise.json";

export const recipes = {
  "ablation-init-attention": ablationInitAttention,
  "ablation-init-random": ablationInitRandom,
  "ablation-replace-interleaved": ablationReplaceInterleaved,
  "ablation-replace-stepwise": ablationReplaceStepwise,
  "ablation-stages-1-2-3": ablationStages123,
  "ablation-stages-1-3": ablationStages13,
  "ablation-stages-2-3": ablationStages23,
  "ablation-stages-3": ablationStages3,
  "smollm2-align": smollm2Align,
  "smollm2-align-odd": smollm2AlignOdd,
  "smollm2-align-paper": smollm2AlignPaper,
  "smollm2-aligned": smollm2Aligned,
  "smollm2-aligned-random": smollm2AlignedRandom,
  "smollm2-attn0": smollm2Attn0,
  "smollm2-attn50": smollm2Attn50,
  "smollm2-attn50-interleaved": smollm2Attn50Interleaved,
  "smollm2-attn50-long": smollm2Attn50Long,
  "smollm2-dpo": smollm2Dpo,
  "smollm2-draft2": smollm2Draft2,
  "smollm2-draft2-attention": smollm2Draft2Attention,
  "smollm2-draft2-attn50": smollm2Draft2Attn50,
  "smollm2-eagle2": smollm2Eagle2,
  "stories-align": storiesAlign,
  "stories-aligned": storiesAligned,
  "stories-aligned-random": storiesAlignedRandom,
  "stories-attn50": storiesAttn50,
  "stories-attn50-interleaved": storiesAttn50Interleaved,
  "stories-demo": storiesDemo,
  "stories-dpo": storiesDpo,
  "stories-draft2": storiesDraft2,
  "stories-draft2-attention": storiesDraft2Attention,
  "stories-eagle2": storiesEagle2,
  "stories-teacher": storiesTeacher,
  "tiny-dpo": tinyDpo,
  "tiny-interleaved": tinyInterleaved,
  "tiny-mixture": tinyMixture,
  "tiny-mohawk": tinyMohawk,
  "tiny-muon": tinyMuon,
  "tiny-stepwise": tinyStepwise,
} as const;

export type RecipeName = keyof typeof recipes;
