"use client";

import Link from "next/link";
import { useState } from "react";
import { Button, IconButton } from "@/components/ui/Button";
import { SelectField } from "@/components/ui/Field";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { describeLayer } from "@/components/ui/LayerStrip";
import { isAttentionLayer } from "@/lib/hybrid/config";
import { formatPattern } from "@/lib/hybrid/pattern";
import { barHeights, measures, type layerSeries, type Measure } from "./bars";
import { JobFailure } from "./JobFailure";
import { formatNats } from "./numbers";
import { matchingVariants, setsFor, type FamilyShape } from "./patterns";
import { Presets } from "./Presets";
import { cancel, useProbe } from "./probe";
import {
  chooseSet,
  editedSlot,
  historyOf,
  look,
  paintingSet,
  paintLayers,
  patternsOf,
  redoEdit,
  setComparing,
  setLayer,
  swapPatterns,
  undoEdit,
  useExplore,
  type Slot,
} from "./session";
import { StripEditor } from "./StripEditor";

type StripCardProps = { shape: FamilyShape; provider: string; series: ReturnType<typeof layerSeries>; onSweep: () => void };

const measureNames: Record<Measure, string> = { sensitivity: "Sensitivity", error: "Relative error", cosine: "Cosine" };

/** The layers of both patterns, and the ways to change them. */
export function StripCard({ shape, provider, series, onSweep }: StripCardProps) {
  const state = useExplore();
  const [measure, setMeasure] = useState<Measure>("sensitivity");
  const sweep = useProbe(({ jobs }) => jobs.sweep);
  const history = historyOf(state);
  const patterns = patternsOf(state);
  if (!history || !patterns) return null;
  const slot = editedSlot(state);
  const set = paintingSet(state);
  const pattern = patterns[slot] ?? patterns.a;
  const replaceable = Array.from({ length: shape.layers }, (_, layer) => setsFor(shape, layer).length > 0);
  const shown = series[measure];
  const heights = barHeights(shown);
  const describeBar = (layer: number): string => {
    const value = shown.values[layer] ?? null;
    return value === null ? `${shown.label}: not measured` : `${shown.label}: ${formatNats(value)}${shown.unit ? ` ${shown.unit}` : ""}`;
  };

  return (
    <section aria-label="Layers" className="grid grid-cols-[minmax(0,1fr)] gap-4 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-2">
        <h2 className="text-[13px] font-semibold">Layers</h2>
        <p title="Click or drag to paint. Arrows move, Space toggles, Shift+arrows extend." className="tabular flex gap-3 text-2xs text-ink-2">
          <Key color="bg-attention" text="attention" />
          <Key color="bg-mamba" text="Mamba-2" />
        </p>
        <div role="group" aria-label="Bars over the layers" className="flex items-center gap-0.5 text-2xs sm:ml-4">
          <span aria-hidden className="mr-1 text-ink-3">
            Bars
          </span>
          {measures.map((value) => (
            <button
              key={value}
              type="button"
              aria-pressed={value === measure}
              title={`${series[value].description ?? ""}${value === "sensitivity" ? " Heights are square roots." : ""}`}
              onClick={() => setMeasure(value)}
              className="h-6 rounded-md px-1.5 text-ink-2 hover:bg-sunken hover:text-ink aria-pressed:bg-sunken aria-pressed:font-medium aria-pressed:text-ink"
            >
              {measureNames[value]}
            </button>
          ))}
        </div>
        <div className="ml-auto flex items-center gap-1">
          {patterns.b && (
            <Button look="ghost" className="h-7 px-2 text-xs" onClick={swapPatterns}>
              Swap A and B
            </Button>
          )}
          <Button look="ghost" icon="columns" className="h-7 px-2 text-xs" aria-pressed={patterns.b !== null} onClick={() => setComparing(patterns.b === null)}>
            {patterns.b ? "End A/B" : "Compare A/B"}
          </Button>
          <IconButton icon="undo" label="Undo (Ctrl+Z)" disabled={history.past.length === 0} onClick={undoEdit} />
          <IconButton icon="redo" label="Redo (Ctrl+Shift+Z)" disabled={history.future.length === 0} onClick={redoEdit} />
        </div>
      </div>

      {(["a", "b"] as const).map((name) => {
        const own = patterns[name];
        return (
          own && (
            <div key={name} className="grid grid-cols-[minmax(0,1fr)] gap-2" data-testid={`strip-${name}`}>
              <StripHeader slot={name} shape={shape} provider={provider} pattern={own} several={patterns.b !== null} edited={slot === name} layer={state.layer} />
              <StripEditor
                label={`Layers of pattern ${name.toUpperCase()}`}
                pattern={own}
                replaceable={replaceable}
                selected={state.layer}
                bars={heights}
                describeBar={describeBar}
                onSelect={(layer) => look({ layer, editing: name })}
                onPaint={(first, last, kind) => paintLayers(first, last, kind, name)}
              />
            </div>
          )
        );
      })}

      <SweepStatus running={sweep.running} total={sweep.progress?.total} known={series.sensitivity.values.filter((value) => value !== null).length} layers={shape.layers} onSweep={onSweep} />
      <JobFailure job="sweep" />

      <div className="flex flex-wrap items-end gap-x-3 gap-y-3 border-t border-line pt-3.5">
        <Presets shape={shape} pattern={pattern} set={set} costs={series.sensitivity.values} sweeping={sweep.running} onSweep={onSweep} />
        {shape.sets.length > 1 && (
          <div className="w-40 max-sm:w-[calc(50%-0.375rem)]">
            <SelectField
              label="Mamba cells from set"
              value={set}
              options={shape.sets.map(({ name, layers }) => ({ value: name, label: `${name} (${layers.length})` }))}
              onChange={chooseSet}
            />
          </div>
        )}
      </div>
    </section>
  );
}

function StripHeader({ slot, shape, provider, pattern, several, edited, layer }: { slot: Slot; shape: FamilyShape; provider: string; pattern: readonly string[]; several: boolean; edited: boolean; layer: number }) {
  const variants = matchingVariants(pattern, shape);
  const variant = variants[0];
  const attention = pattern.filter(isAttentionLayer).length;
  return (
    <div className="flex min-h-6 flex-wrap items-baseline gap-x-3 gap-y-1 text-xs">
      {several && <span className={`grid size-5 place-items-center self-center rounded text-2xs font-semibold ${edited ? "bg-ink text-canvas" : "bg-sunken text-ink-2"}`}>{slot.toUpperCase()}</span>}
      <span className="tabular font-medium">
        {attention} of {pattern.length} attention
      </span>
      {variant ? (
        <>
          <span className="text-ink-2">is the shipped variant “{variants.map(({ title }) => title).join("”, also “")}”</span>
          <Link
            href={`/chat?${new URLSearchParams({ family: shape.family, variant: variant.name, ...(provider !== "auto" && { provider }) })}`}
            className="text-accent underline underline-offset-2"
          >
            Open in chat
          </Link>
        </>
      ) : (
        <code className="min-w-0 truncate font-mono text-2xs text-ink-3" title="The pattern as it stands in a link">
          {formatPattern([...pattern])}
        </code>
      )}
      <label className="ml-auto flex items-center gap-1.5 self-center text-2xs text-ink-2">
        Layer {layer}
        <select
          value={pattern[layer] ?? "attention"}
          onChange={(event) => setLayer(layer, event.target.value, slot)}
          className="h-6 rounded-md border border-line-strong bg-surface px-1 text-xs text-ink"
        >
          {["attention", ...setsFor(shape, layer).map(({ name }) => `mamba2:${name}`)].map((spec) => (
            <option key={spec} value={spec}>
              {describeLayer(spec)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

type SweepStatusProps = { running: boolean; total: number | undefined; known: number; layers: number; onSweep: () => void };

/** The sweep's progress, or the way to start it; nothing once it is done. */
function SweepStatus({ running, total, known, layers, onSweep }: SweepStatusProps) {
  // What is due by itself starts in a moment.
  const offered = useProbe(({ status, text, wanted, jobs }) => status === "ready" && text !== null && wanted.sweep === null && !jobs.sweep.cancelled);
  if (running) {
    return (
      <div className="flex items-center gap-3" data-testid="sweep">
        <p role="status" className="tabular text-2xs text-ink-2">
          Sensitivity of {known} of {total || layers} layers
        </p>
        <div className="min-w-12 flex-1">
          <ProgressBar label="Sensitivity of each layer" done={known} total={total || layers} />
        </div>
        <Button look="ghost" className="h-6 px-2 text-xs" onClick={() => cancel("sweep")}>
          Cancel
        </Button>
      </div>
    );
  }
  if (!offered || known > 0) return null;
  return (
    <div className="flex items-center gap-3">
      <Button className="h-7 text-xs" onClick={onSweep}>
        Measure each layer&apos;s sensitivity
      </Button>
      <p className="text-2xs text-ink-3">Replaces one layer at a time, in the background.</p>
    </div>
  );
}

function Key({ color, text }: { color: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span className={`size-2 rounded-[2px] ${color}`} />
      {text}
    </span>
  );
}
