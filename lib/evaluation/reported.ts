/**
 * Figures that others reported of hybrids distilled from 7-8B teachers. They are benchmark scores of other models, so they stand
 * beside this project's measurements and never on an axis with them.
 */

export type ReportedMetric = "mt-bench" | "alpaca-eval-lc" | "mmlu";

/** How each metric reads: higher is better in all of them. */
export const REPORTED_METRICS: Readonly<Record<ReportedMetric, { readonly label: string; readonly unit: string }>> = {
  "mt-bench": { label: "MT-Bench", unit: "score of 10" },
  "alpaca-eval-lc": { label: "AlpacaEval 2, length-controlled", unit: "win rate, %" },
  mmlu: { label: "MMLU", unit: "% correct" },
};

export type ReportedPoint = {
  /** Share of layers that keep attention, 0..1. */
  readonly attention: number;
  readonly scores: Readonly<Partial<Record<ReportedMetric, number>>>;
};

export type ReportedSeries = {
  readonly name: string;
  readonly teacher: string;
  readonly mixer: "Mamba" | "Mamba-2";
  readonly source: { readonly title: string; readonly reference: string; readonly url: string };
  readonly points: readonly ReportedPoint[];
};

const mambaInLlama = {
  title: "Wang et al., The Mamba in the Llama: Distilling and Accelerating Hybrid Models",
  reference: "arXiv 2408.15237 and the README of jxiw/MambaInLlama",
  url: "https://arxiv.org/abs/2408.15237",
} as const;

const point = (attention: number, mtBench: number, alpacaEval?: number, mmlu?: number): ReportedPoint => ({
  attention,
  scores: {
    "mt-bench": mtBench,
    ...(alpacaEval === undefined ? {} : { "alpaca-eval-lc": alpacaEval }),
    ...(mmlu === undefined ? {} : { mmlu }),
  },
});

/** Scores against the share of attention kept; the Zephyr series starts with its teacher. */
export const REPORTED: readonly ReportedSeries[] = [
  {
    name: "Mamba from Llama-3-8B-Instruct",
    teacher: "Llama-3-8B-Instruct",
    mixer: "Mamba",
    source: mambaInLlama,
    points: [point(0.5, 7.35, 29.61, 59.26), point(0.25, 6.86, 25.85, 52.68), point(0.125, 6.46, 20.76, 49.2)],
  },
  {
    name: "Mamba-2 from Llama-3-8B-Instruct",
    teacher: "Llama-3-8B-Instruct",
    mixer: "Mamba-2",
    source: mambaInLlama,
    points: [point(0.5, 7.32, 25.0, 56.67), point(0.25, 6.74, 20.25, 53.94), point(0.125, 6.48, 20.25, 50.85), point(0, 5.64, 14.49, 43.19)],
  },
  {
    name: "Mamba (DPO) from Zephyr-7B",
    teacher: "Zephyr-7B",
    mixer: "Mamba",
    source: mambaInLlama,
    points: [point(1, 7.34, 13.2, 61.44), point(0.5, 7.31), point(0.25, 7.03), point(0.125, 6.39)],
  },
];

/** The series that hold a metric, each with its points, most attention first. */
export function reportedBy(metric: ReportedMetric): { series: ReportedSeries; points: { attention: number; value: number }[] }[] {
  return REPORTED.map((series) => ({
    series,
    points: series.points.flatMap(({ attention, scores }) => {
      const value = scores[metric];
      return value === undefined ? [] : [{ attention, value }];
    }),
  })).filter(({ points }) => points.length > 0);
}
