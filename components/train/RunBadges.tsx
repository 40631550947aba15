"use client";

import { useBundles } from "@/components/bundles";
import { formatCount } from "@/components/ui/format";
import { Icon } from "@/components/ui/Icon";
import { LayerStrip } from "@/components/ui/LayerStrip";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { RunState, RunSummary } from "@/lib/training/types";
import { formatSpan, isActive, stateLooks } from "./words";

/** A run's state: icon and word, in the state's colour. */
export function StateBadge({ state, stopping = false }: { state: RunState; stopping?: boolean }) {
  const { word, icon, tone } = stateLooks[state];
  return (
    <span className={`inline-flex items-center gap-1.5 text-[13px] font-medium whitespace-nowrap ${tone}`}>
      <Icon name={icon} className={`size-3.5 ${state === "running" ? "fill-current" : ""}`} />
      {stopping && isActive(state) ? "Stopping" : word}
    </span>
  );
}

/** Which layers a run makes Mamba, as a strip. Runs without layers (a new teacher, a draft) have none. */
export function RunPattern({ run, config }: { run: Pick<RunSummary, "family" | "method" | "mambaLayers">; config?: Record<string, unknown> | null }) {
  const bundles = useBundles();
  const mamba = run.mambaLayers ?? mambaLayersOf(config ?? null);
  const total = bundles.data?.families.find(({ family }) => family === run.family)?.shape?.layers;
  if (run.method === "draft") return <span className="text-2xs text-ink-3">own small model</span>;
  if (run.method === "pretrain") return <span className="text-2xs text-ink-3">new teacher</span>;
  if (!mamba || mamba.length === 0 || !total) return <span className="text-2xs text-ink-3">–</span>;
  const replaced = new Set(mamba);
  return <LayerStrip size="compact" layers={Array.from({ length: total }, (_, layer) => (replaced.has(layer) ? "mamba2" : "attention"))} />;
}

/** A config's `layers`, of all stages. */
export function mambaLayersOf(config: Record<string, unknown> | null): number[] | null {
  if (!config) return null;
  const stages = Array.isArray(config.stages) ? (config.stages as unknown[]) : [];
  const lists = [config, ...stages].flatMap((part) => (typeof part === "object" && part !== null && "layers" in part && Array.isArray(part.layers) ? [part.layers as unknown[]] : []));
  const layers = [...new Set(lists.flat().filter((layer): layer is number => typeof layer === "number"))];
  return lists.length === 0 ? null : layers.sort((a, b) => a - b);
}

/** How far a run is: a bar with steps, and the time left while it runs. */
export function RunProgress({ run }: { run: RunSummary }) {
  const { launch, state, step, steps, phase, phaseTitle, secondsLeft } = run;
  if (launch) {
    return (
      <div className="grid gap-1">
        <ProgressBar label={`${run.name}: ${launch.message}`} done={launch.done} total={launch.total} />
        <p className="truncate text-2xs text-ink-2">{launch.message}</p>
      </div>
    );
  }
  if (state === "finished") return <p className="tabular text-xs text-ink-2">{formatCount(steps)} steps</p>;
  const other = phase !== null && phase !== "train" && isActive(state);
  return (
    <div className="grid gap-1">
      <ProgressBar label={`Progress of ${run.name}`} done={other && phase !== "evaluate" && phase !== "export" ? 0 : step} total={other && state === "running" && step === 0 ? 0 : Math.max(1, steps)} />
      <p className="tabular flex justify-between gap-2 text-2xs whitespace-nowrap text-ink-2">
        <span className="truncate">{other ? (phaseTitle ?? phase) : `${step} of ${steps}`}</span>
        {state === "running" && !other && secondsLeft !== null && <span>{formatSpan(secondsLeft)} left</span>}
      </p>
    </div>
  );
}

/** A small curve without axes: the run's training loss on a log scale. */
export function Sparkline({ values, label }: { values: readonly number[]; label: string }) {
  const heights = values.map((value) => Math.log(value));
  const finite = heights.filter(Number.isFinite);
  if (finite.length < 2) return <span className="text-2xs text-ink-3">–</span>;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const points = heights.flatMap((height, index) => (Number.isFinite(height) ? [`${((index / (heights.length - 1)) * 78 + 1).toFixed(1)} ${(2 + (1 - (height - low) / (high - low || 1)) * 18).toFixed(1)}`] : []));
  return (
    <svg role="img" aria-label={label} viewBox="0 0 80 22" className="h-[22px] w-20 text-ink-2" fill="none">
      <polyline points={points.join(" ")} stroke="currentColor" strokeWidth={1.3} strokeLinejoin="round" />
    </svg>
  );
}

export function Tag({ text }: { text: string }) {
  return <span className="inline-block max-w-32 truncate rounded border border-line bg-sunken px-1.5 text-2xs text-ink-2">{text}</span>;
}
