/** The quantities of a layer, as series for bars and lists. */
import type { LayerDistance, LayerSensitivity } from "@/lib/evaluation/types";
import type { LayerSeries } from "./charts/props";

export const measures = ["sensitivity", "error", "cosine"] as const;
export type Measure = (typeof measures)[number];

/** Values of each layer; null where there is none (yet). */
export function layerSeries(layers: number, distances: readonly LayerDistance[], sweep: readonly LayerSensitivity[]): Record<Measure, LayerSeries> & { agreement: LayerSeries } {
  const column = <T extends { layer: number }>(entries: readonly T[], read: (entry: T) => number): (number | null)[] => {
    const values: (number | null)[] = Array.from({ length: layers }, () => null);
    for (const entry of entries) values[entry.layer] = read(entry);
    return values;
  };
  return {
    sensitivity: {
      key: "sensitivity",
      label: "Sensitivity",
      unit: "nat/token",
      values: column(sweep, ({ kl }) => kl),
      description: "Mean KL from the teacher when this layer alone is replaced.",
    },
    error: {
      key: "error",
      label: "Relative error",
      unit: "",
      values: column(distances, ({ relativeError }) => relativeError),
      description: "Norm of the difference between the Mamba mixer's output and attention's, over the norm of attention's.",
    },
    cosine: {
      key: "cosine",
      label: "Cosine",
      unit: "",
      values: column(distances, ({ cosine }) => cosine),
      description: "Mean cosine between the Mamba mixer's output and attention's.",
    },
    agreement: {
      key: "agreement",
      label: "Agreement",
      unit: "%",
      values: column(sweep, ({ agreement }) => 100 * agreement),
      description: "Positions with the same likeliest token as the teacher when this layer alone is replaced.",
    },
  };
}

/**
 * Heights of bars, 0..1: cosines as they are, errors by the largest, sensitivities by the root of their share of the largest, since one layer
 * (most often the first) can cost a hundred times as much as the others.
 */
export function barHeights(series: LayerSeries): (number | null)[] {
  const known = series.values.filter((value) => value !== null);
  const top = series.key === "cosine" ? 1 : Math.max(...known, 0);
  return series.values.map((value) => {
    if (value === null) return null;
    const share = top > 0 ? Math.max(0, value) / top : 0;
    return series.key === "sensitivity" ? Math.sqrt(share) : share;
  });
}

/** Layers in order of a column; those without a value come last. */
export function sortLayers(values: readonly (number | null)[], descending: boolean): number[] {
  return values
    .map((value, layer) => ({ value, layer }))
    .sort((one, other) => {
      if (one.value === other.value) return one.layer - other.layer;
      if (one.value === null) return 1;
      if (other.value === null) return -1;
      return descending ? other.value - one.value : one.value - other.value;
    })
    .map(({ layer }) => layer);
}
