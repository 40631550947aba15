/** Recorded and own measurements of quality as points over the share of attention. */
import { attentionShare } from "@/lib/hybrid/pattern";
import type { BenefitPanelProps, OwnPoint } from "./props";

export type QualityMetric = "kl" | "agreement" | "ratio";

type MetricText = { readonly label: string; readonly unit: string; readonly recorded: string; readonly teacher: number; readonly better: string };

/** How each metric is named here and in results, and its value for the teacher itself. */
export const QUALITY: Readonly<Record<QualityMetric, MetricText>> = {
  kl: { label: "KL to the teacher", unit: "nat/token", recorded: "quality.kl", teacher: 0, better: "lower is nearer to the teacher" },
  agreement: { label: "Top-1 agreement", unit: "share of tokens", recorded: "quality.top1_agreement", teacher: 1, better: "higher is nearer to the teacher" },
  ratio: { label: "Perplexity over the teacher's", unit: "ratio", recorded: "quality.ppl_ratio", teacher: 1, better: "1 is the teacher's perplexity" },
};

export type QualityPoint = { readonly label: string; readonly attention: number; readonly value: number };

/** The texts on which the distance of a family's variants from the teacher was measured, in the order of the results. */
export function recordedTexts(results: BenefitPanelProps["results"], family: string): string[] {
  const shown = new Set(Object.values(QUALITY).map(({ recorded }) => recorded));
  return [...new Set(entriesOf(results, family).filter(({ metric }) => shown.has(metric)).map(({ of }) => String(of.data ?? "unnamed")))];
}

/** Recorded variants of a family on one text, most attention first. Only variants whose layers are known have a place on the axis. */
export function recordedPoints({ results, family, variants }: Pick<BenefitPanelProps, "results" | "family" | "variants">, metric: QualityMetric, text: string): QualityPoint[] {
  return entriesOf(results, family)
    .filter((entry) => entry.metric === QUALITY[metric].recorded && String(entry.of.data ?? "unnamed") === text)
    .flatMap((entry) => {
      const variant = variants.find(({ name }) => name === entry.of.variant);
      return variant ? [{ label: variant.name, attention: attentionShare([...variant.layers]), value: entry.value }] : [];
    })
    .sort((one, two) => two.attention - one.attention);
}

/** The user's points of a metric; those without it are left out. */
export function ownPointsOf(points: readonly OwnPoint[], metric: QualityMetric): QualityPoint[] {
  return points.flatMap(({ label, attention, [metric]: value }) => (value === null || !Number.isFinite(value) ? [] : [{ label, attention, value }]));
}

function entriesOf(results: BenefitPanelProps["results"], family: string) {
  return results.flatMap((file) => ("results" in file ? file.results.entries : [])).filter(({ metric, of }) => metric.startsWith("quality.") && of.family === family && typeof of.variant === "string");
}
