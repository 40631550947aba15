"use client";

import { useState } from "react";
import { KEEP_RATIOS, keptLayers, PLACEMENTS, type Placement } from "@/lib/hybrid/pattern";
import { SelectField } from "@/components/ui/Field";
import { keepOnly, mostSensitive, samePattern, type FamilyShape } from "./patterns";
import { keepLayers, setPattern } from "./session";

type Order = Placement | "sensitivity";
const orderNames: Record<Order, string> = { interleaved: "Interleaved", first: "First layers", last: "Last layers", sensitivity: "Most sensitive layers" };

type PresetsProps = {
  shape: FamilyShape;
  pattern: readonly string[];
  /** Set that replaced layers take. */
  set: string;
  /** Sensitivity of each layer; null where it is not known yet. */
  costs: readonly (number | null)[];
  sweeping: boolean;
  onSweep: () => void;
};

/** How much attention to keep, and where. */
export function Presets({ shape, pattern, set, costs, sweeping, onSweep }: PresetsProps) {
  const [order, setOrder] = useState<Order>("interleaved");
  const swept = shape.sets.find(({ name }) => name === set)?.layers.every((layer) => typeof costs[layer] === "number") ?? false;
  const waiting = order === "sensitivity" && !swept;
  const kept = (ratio: number): number[] => {
    const evenly = keptLayers(shape.layers, ratio, order === "sensitivity" ? "interleaved" : order);
    return order === "sensitivity" ? mostSensitive(costs, evenly.length) : evenly;
  };

  return (
    <>
      <div className="w-48 max-sm:w-full">
        <SelectField
          label="Attention kept in"
          value={order}
          options={[...PLACEMENTS, "sensitivity" as const].map((value) => ({ value, label: orderNames[value] }))}
          onChange={setOrder}
        />
      </div>
      <div role="group" aria-label="Attention kept" className="flex overflow-hidden rounded-md border border-line-strong max-sm:w-full">
        {KEEP_RATIOS.map((ratio) => {
          const layers = waiting ? null : kept(ratio);
          const current = layers !== null && samePattern(keepOnly(shape, layers, set), pattern);
          return (
            <button
              key={ratio}
              type="button"
              disabled={waiting}
              aria-pressed={current}
              onClick={() => layers && keepLayers(layers)}
              className="tabular h-7.5 border-l max-sm:flex-1 border-line px-2.5 text-xs first:border-l-0 hover:bg-sunken disabled:opacity-45 aria-pressed:bg-sunken aria-pressed:font-semibold"
            >
              {100 * ratio}%
            </button>
          );
        })}
      </div>
      {waiting && (
        <p className="flex h-8 items-center gap-2 text-xs text-ink-2">
          {sweeping ? (
            "The sweep of all layers is under way."
          ) : (
            <button type="button" onClick={onSweep} className="text-accent underline underline-offset-2">
              Measure each layer&apos;s sensitivity first
            </button>
          )}
        </p>
      )}
      {shape.variants.length > 0 && (
        <div className="w-44 max-sm:w-[calc(50%-0.375rem)]">
          <SelectField
            label="Shipped variant"
            value={shape.variants.find(({ layers }) => samePattern(layers, pattern))?.name ?? ""}
            options={[{ value: "", label: "None of them", disabled: true }, ...shape.variants.map(({ name, title }) => ({ value: name, label: title }))]}
            onChange={(name) => {
              const variant = shape.variants.find((candidate) => candidate.name === name);
              if (variant) setPattern(variant.layers);
            }}
          />
        </div>
      )}
    </>
  );
}
