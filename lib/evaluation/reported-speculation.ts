/** Figures that others reported of speculative decoding with recurrent models: other models on other machines, for reference only. */

export type ReportedSpeculation = {
  readonly model: string;
  /** Times plain decoding's speed. */
  readonly speedup: number;
  /** Share of drafts accepted, 0..1. */
  readonly acceptance: number;
  readonly source: { readonly title: string; readonly reference: string; readonly url: string };
};

export const REPORTED_SPECULATION: readonly ReportedSpeculation[] = [
  {
    model: "Mamba-2.8B",
    speedup: 1.5,
    acceptance: 0.6,
    source: {
      title: "Wang et al., The Mamba in the Llama: Distilling and Accelerating Hybrid Models",
      reference: "the authors' first report, and arXiv 2408.15237",
      url: "https://arxiv.org/abs/2408.15237",
    },
  },
];
