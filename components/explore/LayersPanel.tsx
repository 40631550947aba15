"use client";

import dynamic from "next/dynamic";
import { useState } from "react";
import { describeLayer } from "@/components/ui/LayerStrip";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { isAttentionLayer } from "@/lib/hybrid/config";
import { sortLayers, type layerSeries } from "./bars";
import { JobFailure } from "./JobFailure";
import { formatNats } from "./numbers";
import { mambaLayer, setsFor, type FamilyShape } from "./patterns";
import { useProbe } from "./probe";
import { look, setLayer } from "./session";

const LayerBars = dynamic(() => import("./charts/LayerBars").then((module) => module.LayerBars), { ssr: false, loading: () => <div className="h-64 animate-pulse rounded-lg bg-sunken" /> });

type Column = "layer" | "sensitivity" | "agreement" | "error" | "cosine";
type LayersPanelProps = { shape: FamilyShape; pattern: readonly string[]; set: string; series: ReturnType<typeof layerSeries>; selected: number };

const heads: { key: Column; label: string }[] = [
  { key: "layer", label: "Layer" },
  { key: "sensitivity", label: "Sensitivity, nat/token" },
  { key: "agreement", label: "Agreement, %" },
  { key: "error", label: "Relative error" },
  { key: "cosine", label: "Cosine" },
];

/** Every layer's own distance and sensitivity: as bars, and as a list that sorts. */
export function LayersPanel({ shape, pattern, set, series, selected }: LayersPanelProps) {
  const [sort, setSort] = useState<{ key: Column; descending: boolean }>({ key: "layer", descending: false });
  const distances = useProbe(({ jobs }) => jobs.distances);
  const values = sort.key === "layer" ? pattern.map((_, layer) => layer) : series[sort.key].values;
  const order = sortLayers(values, sort.descending);
  const select = (layer: number) => look({ layer });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      <p className="max-w-3xl text-xs text-ink-2">
        Of mixer set <span className="font-mono">{set}</span> on this text: how far each Mamba mixer&apos;s output is from attention&apos;s on the teacher&apos;s own activations, and what replacing that layer alone costs.
      </p>
      {distances.running && <ProgressBar label="Each layer's distance" done={distances.progress?.done ?? 0} total={distances.progress?.total ?? 0} />}
      <JobFailure job="distances" />
      <LayerBars layers={pattern} series={[series.sensitivity, series.error, series.cosine]} selected={selected} onSelect={select} order={order} name={shape.family} />
      <div className="relative max-h-128 overflow-auto rounded-lg border border-line" tabIndex={0} role="region" aria-label="List of layers">
        <table className="w-full min-w-[36rem] text-xs">
          <thead className="sticky top-0 z-10 bg-surface text-2xs text-ink-3">
            <tr>
              {heads.map(({ key, label }) => (
                <th key={key} aria-sort={sort.key === key ? (sort.descending ? "descending" : "ascending") : "none"} className={`px-3 py-2 font-normal ${key === "layer" ? "text-left" : "text-right"}`}>
                  <button type="button" className={`hover:text-ink ${sort.key === key ? "font-medium text-ink" : ""}`} onClick={() => setSort({ key, descending: sort.key === key ? !sort.descending : key !== "layer" })}>
                    {label} <span aria-hidden>{sort.key === key ? (sort.descending ? "↓" : "↑") : ""}</span>
                  </button>
                </th>
              ))}
              <th className="px-3 py-2 text-left font-normal">Mixer</th>
            </tr>
          </thead>
          <tbody>
            {order.map((layer) => {
              const spec = pattern[layer] ?? "attention";
              return (
                <tr key={layer} aria-current={layer === selected ? "true" : undefined} onClick={() => select(layer)} className="cursor-default border-t border-line hover:bg-sunken aria-[current]:bg-accent-soft">
                  <th scope="row" className="px-3 py-1 text-left font-normal">
                    <button type="button" onClick={() => select(layer)} aria-label={`Select layer ${layer}`} className="flex items-center gap-2">
                      <span aria-hidden className={`size-2 rounded-[2px] ${isAttentionLayer(spec) ? "bg-attention" : "bg-mamba"}`} />
                      {layer}
                    </button>
                  </th>
                  {heads.slice(1).map(({ key }) => {
                    const value = key === "layer" ? null : (series[key].values[layer] ?? null);
                    return (
                      <td key={key} className="px-3 py-1 text-right">
                        {value === null ? <span className="text-ink-3">–</span> : key === "agreement" ? value.toFixed(1) : formatNats(value)}
                      </td>
                    );
                  })}
                  <td className="px-3 py-1 whitespace-nowrap">
                    <button
                      type="button"
                      disabled={setsFor(shape, layer).length === 0}
                      title="Replace the layer, or put its attention back"
                      onClick={() => setLayer(layer, isAttentionLayer(spec) ? mambaLayer(shape, layer, set) : "attention")}
                      className="text-left underline decoration-line-strong underline-offset-2 hover:decoration-ink disabled:no-underline"
                    >
                      {describeLayer(spec)}
                    </button>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}
