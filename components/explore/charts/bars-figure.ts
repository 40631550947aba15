/** The bars over the layer strip as a drawing of their own. */
import { escapeXml, type Table } from "@/components/ui/chart-export";
import { isAttentionLayer } from "@/lib/hybrid/config";
import type { LayerSeries } from "./props";

export type BarColours = { readonly attention: string; readonly mamba: string; readonly ink: string; readonly quiet: string; readonly line: string };

const CELL = 20;
const ROW = 74;
const BAR = 44;

/** The greatest known magnitude of a series; 0 if nothing is known. */
export function greatest(values: readonly (number | null)[]): number {
  return values.reduce<number>((most, value) => Math.max(most, value === null || !Number.isFinite(value) ? 0 : Math.abs(value)), 0);
}

/** SVG elements: one row of bars a series over the strip of layers, in the strip's order. */
export function barsFigure(layers: readonly string[], series: readonly LayerSeries[], order: readonly number[], colours: BarColours): { body: string; width: number; height: number } {
  const colourOf = (layer: number): string => (isAttentionLayer(layers[layer] ?? "attention") ? colours.attention : colours.mamba);
  const parts: string[] = [];
  series.forEach(({ label, unit, values }, row) => {
    const top = row * ROW;
    const most = greatest(values);
    parts.push(`<text x="0" y="${top + 12}" font-size="11" fill="${colours.ink}">${escapeXml(unit === "" ? label : `${label} (${unit}), up to ${most.toPrecision(3)}`)}</text>`);
    parts.push(`<path d="M0 ${top + 20 + BAR}H${order.length * CELL}" stroke="${colours.line}"/>`);
    order.forEach((layer, place) => {
      const value = values[layer];
      if (value === null || value === undefined || !Number.isFinite(value) || most === 0) return;
      const height = (Math.abs(value) / most) * BAR;
      parts.push(`<rect x="${place * CELL + 2}" y="${top + 20 + BAR - height}" width="${CELL - 4}" height="${height}" fill="${colourOf(layer)}"/>`);
    });
  });
  const base = series.length * ROW;
  order.forEach((layer, place) => {
    parts.push(`<rect x="${place * CELL + 1}" y="${base}" width="${CELL - 2}" height="12" rx="2" fill="${colourOf(layer)}"/>`);
    parts.push(`<text x="${(place + 0.5) * CELL}" y="${base + 24}" font-size="9" text-anchor="middle" fill="${colours.quiet}">${layer}</text>`);
  });
  return { body: parts.join(""), width: order.length * CELL, height: base + 30 };
}

/** One row a layer, one column a series. */
export function barsTable(layers: readonly string[], series: readonly LayerSeries[], order: readonly number[]): Table {
  return {
    columns: ["layer", "mixer", ...series.map(({ label, unit }) => (unit === "" ? label : `${label}, ${unit}`))],
    rows: order.map((layer) => [layer, layers[layer] ?? "", ...series.map(({ values }) => values[layer] ?? null)]),
  };
}
