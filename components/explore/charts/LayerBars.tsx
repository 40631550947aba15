"use client";

import { useId, useState, type KeyboardEvent } from "react";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { describeLayer } from "@/components/ui/LayerStrip";
import { isAttentionLayer } from "@/lib/hybrid/config";
import { barsFigure, barsTable, greatest } from "./bars-figure";
import { formatWeight } from "./inside-data";
import type { LayerBarsProps, LayerSeries } from "./props";

const legend = [
  { label: "attention now", colour: "var(--attention)" },
  { label: "replaced by Mamba", colour: "var(--mamba)" },
] as const;

/** Small bars over the layer strip, one row a quantity; a bar stands over its layer's cell. */
export function LayerBars({ layers, series, selected, onSelect, order = layers.map((_, layer) => layer), name = "layers" }: LayerBarsProps) {
  const known = series.some(({ values }) => values.some((value) => value !== null));
  const drawing = () => {
    const style = getComputedStyle(document.documentElement);
    const token = (name: string): string => style.getPropertyValue(name).trim();
    return barsFigure(layers, series, order, { attention: token("--attention"), mamba: token("--mamba"), ink: token("--ink"), quiet: token("--ink-2"), line: token("--line-strong") });
  };
  return (
    <ChartFrame
      look="plain"
      title="Each layer"
      unit="bars over the strip, each row to its own maximum"
      name={[name]}
      table={barsTable(layers, series, order)}
      drawing={drawing}
      legend={known ? legend : []}
      empty={known ? undefined : "No layer has been measured yet."}
    >
      <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
        {series.map((row) => (
          <BarRow key={row.key} series={row} layers={layers} order={order} selected={selected} onSelect={onSelect} />
        ))}
      </div>
    </ChartFrame>
  );
}

type BarRowProps = { series: LayerSeries; layers: readonly string[]; order: readonly number[]; selected: number | null; onSelect: (layer: number) => void };

/** One list box: a tab stop for the row, arrow keys from layer to layer. */
function BarRow({ series: { label, unit, values, description }, layers, order, selected, onSelect }: BarRowProps) {
  const id = useId();
  const [hovered, setHovered] = useState<number | null>(null);
  const most = greatest(values);
  const withUnit = (value: number): string => `${formatWeight(value)}${unit === "" ? "" : ` ${unit}`}`;
  const textOf = (layer: number): string => {
    const value = values[layer];
    return value === null || value === undefined ? "not measured" : withUnit(value);
  };
  const shown = hovered ?? selected;
  const key = (event: KeyboardEvent): void => {
    const place = selected === null ? -1 : order.indexOf(selected);
    const steps: Readonly<Record<string, number>> = { ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: order.length - 1 };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const layer = order[Math.min(order.length - 1, Math.max(0, next))];
    if (layer !== undefined) onSelect(layer);
  };
  return (
    <div>
      <div className="mb-1 flex items-baseline gap-2 text-2xs">
        <span id={`${id}-label`} className="font-medium text-ink-2" title={description}>
          {label}
        </span>
        {unit !== "" && <span className="text-ink-3">{unit}</span>}
        <span aria-hidden className="tabular ml-auto text-right text-ink-2">
          {shown === null ? `up to ${formatWeight(most)}` : `layer ${shown}: ${textOf(shown)}`}
        </span>
      </div>
      <div
        role="listbox"
        aria-labelledby={`${id}-label`}
        aria-orientation="horizontal"
        aria-activedescendant={selected === null ? undefined : `${id}-${selected}`}
        tabIndex={0}
        onKeyDown={key}
        onPointerLeave={() => setHovered(null)}
        className="flex h-12 items-stretch gap-px border-b border-line-strong"
      >
        {order.map((layer) => {
          const value = values[layer] ?? null;
          const height = value === null || most === 0 ? 0 : Math.max(2, (100 * Math.abs(value)) / most);
          return (
            <div
              key={layer}
              id={`${id}-${layer}`}
              role="option"
              aria-selected={layer === selected}
              aria-label={`Layer ${layer}, ${describeLayer(layers[layer] ?? "attention")}: ${textOf(layer)}`}
              onClick={() => onSelect(layer)}
              onPointerEnter={() => setHovered(layer)}
              className={`flex min-w-0 flex-1 cursor-pointer items-end rounded-t-[2px] hover:bg-sunken ${layer === selected ? "bg-accent-soft" : ""}`}
            >
              {value === null ? (
                <span className="mx-auto mb-1 h-px w-2/3 bg-line-strong" />
              ) : (
                <span className={`w-full rounded-t-[2px] ${isAttentionLayer(layers[layer] ?? "attention") ? "bg-attention" : "bg-mamba"} ${layer === selected ? "" : "opacity-80"}`} style={{ height: `${height}%` }} />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}
