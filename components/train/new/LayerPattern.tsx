"use client";

import { useState } from "react";
import { StripEditor } from "@/components/explore/StripEditor";
import { isAttentionLayer } from "@/lib/hybrid/config";
import { KEEP_RATIOS, keptLayers } from "@/lib/hybrid/pattern";
import { formatLayers } from "@/lib/training/config/layer-list";
import { sameJson } from "@/lib/training/config/document";
import type { Manifest } from "@/lib/weights/manifest";

type LayerPatternProps = {
  manifest: Manifest;
  /** Layers that become Mamba-2. */
  layers: readonly number[];
  onChange: (layers: number[]) => void;
};

/** Which layers become Mamba-2: cells to paint, shares that are spread evenly, and the selections that ship. */
export function LayerPattern({ manifest, layers, onChange }: LayerPatternProps) {
  const [selected, setSelected] = useState(0);
  const count = manifest.architecture.num_hidden_layers;
  const all = Array.from({ length: count }, (_, layer) => layer);
  const pattern = all.map((layer) => (layers.includes(layer) ? "mamba2:new" : "attention"));
  const presets = KEEP_RATIOS.filter((ratio) => ratio < 1).map((ratio) => {
    const kept = keptLayers(count, ratio, "interleaved");
    return { label: `${100 * ratio}%`, layers: all.filter((layer) => !kept.includes(layer)) };
  });
  const shipped = Object.entries(manifest.variants)
    .filter(([, variant]) => variant.layers.length === count && !variant.layers.every(isAttentionLayer))
    .map(([name, variant]) => ({ name, title: variant.title, layers: all.filter((layer) => !isAttentionLayer(variant.layers[layer] ?? "attention")) }))
    .filter((one, index, list) => list.findIndex((other) => sameJson(other.layers, one.layers)) === index);
  const kept = count - layers.filter((layer) => layer < count).length;

  return (
    <div className="mt-3 grid grid-cols-[minmax(0,1fr)] gap-3" data-field="layers">
      <StripEditor
        label="Layers that become Mamba-2"
        pattern={pattern}
        replaceable={all.map(() => true)}
        selected={Math.min(selected, count - 1)}
        onSelect={setSelected}
        onPaint={(first, last, kind) => {
          const [from, to] = first < last ? [first, last] : [last, first];
          const within = (layer: number): boolean => layer >= from && layer <= to;
          onChange(all.filter((layer) => (within(layer) ? kind === "mamba" : layers.includes(layer))));
        }}
      />
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-xs">
        <p className="tabular text-ink-2">
          <span className="font-medium text-ink">
            {kept} of {count} keep attention
          </span>
          {layers.length > 0 && <span className="hidden sm:inline">, Mamba-2 in {formatLayers(layers)}</span>}
        </p>
        <div className="flex flex-wrap items-center gap-2 sm:ml-auto">
          <span aria-hidden className="text-ink-3">
            Attention kept
          </span>
          <div role="group" aria-label="Attention kept, spread evenly" className="flex overflow-hidden rounded-md border border-line-strong">
            {presets.map((preset) => (
              <button
                key={preset.label}
                type="button"
                aria-pressed={sameJson(preset.layers, layers)}
                onClick={() => onChange(preset.layers)}
                className="tabular h-7 border-l border-line px-2.5 text-xs first:border-l-0 hover:bg-sunken aria-pressed:bg-sunken aria-pressed:font-semibold"
              >
                {preset.label}
              </button>
            ))}
          </div>
          {shipped.length > 0 && (
            <select
              aria-label="Layers of a shipped variant"
              value={shipped.find((one) => sameJson(one.layers, layers))?.name ?? ""}
              onChange={(event) => {
                const chosen = shipped.find(({ name }) => name === event.target.value);
                if (chosen) onChange(chosen.layers);
              }}
              className="h-7 max-w-52 rounded-md border border-line-strong bg-surface px-2 text-xs"
            >
              <option value="">As a shipped variant…</option>
              {shipped.map(({ name, title }) => (
                <option key={name} value={name}>
                  {title}
                </option>
              ))}
            </select>
          )}
        </div>
      </div>
    </div>
  );
}
