"use client";

import Link from "next/link";
import { useState } from "react";
import { Button, IconButton } from "@/components/ui/Button";
import { Segmented, SelectField } from "@/components/ui/Field";
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
        <p className="tabular flex gap-3 text-2xs text-ink-2">
          <Key color="bg-attention" text="attention" />
          <Key color="bg-mamba" text="Mamba-2" />
        </p>
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
              <StripHeader slot={name} shape={shape} provider={provider} pattern={own} several={patterns.b !== null} edited={slot === name} />
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

      <div className="flex flex-wrap items-end gap-x-5 gap-y-3">
        <div className="w-full max-w-84">
          <Segmented label={`Bars: ${shown.description ?? ""}`} value={measure} options={measures.map((value) => ({ value, label: measureNames[value] }))} onChange={setMeasure} />
        </div>
        <SweepStatus running={sweep.running} progress={sweep.progress} known={series.sensitivity.values.filter((value) => value !== null).length} total={shape.layers} onSweep={onSweep} />
      </div>
      <JobFailure job="sweep" />

      <div className="grid gap-3 border-t border-line pt-4">
        <Presets shape={shape} pattern={pattern} set={set} costs={series.sensitivity.values} sweeping={sweep.running} onSweep={onSweep} />
        <div className="flex flex-wrap items-end gap-3">
          {shape.sets.length > 1 && (
            <div className="w-44">
              <SelectField
                label="Mixer set for Mamba cells"
                value={set}
                options={shape.sets.map(({ name, layers }) => ({ value: name, label: `${name} (${layers.length} layers)` }))}
                onChange={chooseSet}
              />
            </div>
          )}
          <div className="w-44">
            <SelectField
              label={`Layer ${state.layer}${patterns.b ? ` of ${slot.toUpperCase()}` : ""}`}
              value={pattern[state.layer] ?? "attention"}
              options={["attention", ...setsFor(shape, state.layer).map(({ name }) => `mamba2:${name}`)].map((spec) => ({ value: spec, label: describeLayer(spec) }))}
              onChange={(spec) => setLayer(state.layer, spec)}
            />
          </div>
          <p className="hidden pb-1 text-2xs text-ink-3 lg:block">
            Click or drag to paint. Arrows move, Space toggles, Shift+arrows extend.
          </p>
        </div>
      </div>
    </section>
  );
}

function StripHeader({ slot, shape, provider, pattern, several, edited }: { slot: Slot; shape: FamilyShape; provider: string; pattern: readonly string[]; several: boolean; edited: boolean }) {
  const variants = matchingVariants(pattern, shape);
  const variant = variants[0];
  const attention = pattern.filter(isAttentionLayer).length;
  return (
    <div className="flex min-h-6 flex-wrap items-baseline gap-x-3 text-xs">
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
    </div>
  );
}

function SweepStatus({ running, progress, known, total, onSweep }: { running: boolean; progress: { done: number; total: number } | null; known: number; total: number; onSweep: () => void }) {
  const ready = useProbe(({ status, text }) => status === "ready" && text !== null);
  if (running) {
    return (
      <div className="flex min-w-48 flex-1 items-center gap-2 pb-1" data-testid="sweep">
        <div className="min-w-0 flex-1">
          <p role="status" className="tabular mb-1 text-2xs text-ink-2">
            Sensitivity of {known} of {progress?.total ?? total} layers
          </p>
          <ProgressBar label="Sensitivity of each layer" done={known} total={progress?.total ?? total} />
        </div>
        <Button look="ghost" className="h-7 px-2 text-xs" onClick={() => cancel("sweep")}>
          Cancel
        </Button>
      </div>
    );
  }
  if (!ready || known > 0) return null;
  return (
    <Button className="text-xs" onClick={onSweep}>
      Measure sensitivity of all layers
    </Button>
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
