"use client";

import { useCallback, useDeferredValue, useMemo } from "react";
import type { LegendItem } from "@/components/ui/chart-export";
import { useThemeName } from "@/components/ui/chart-hooks";
import { Check } from "../run/LogPanel";
import { ChartControls } from "../charts/ChartControls";
import { CurveChart, type Line } from "../charts/CurveChart";
import { lineLook } from "../charts/view";
import { fromTold, type Curve, type Kind } from "../metrics";
import type { Range } from "../series";
import { useAddress, useChartView } from "../useQueryState";
import { describeMeasure } from "../words";
import type { ComparedRun } from "./useRunMetrics";

/** What is shown without a choice. */
const first = ["kl", "loss", "agreement", "tokens_per_second"];
const unloggable = new Set(["agreement", "acceptance", "memory_gib", "gpu_utilisation"]);
const exact = new Set(["learning_rate", "memory_gib"]);

/** The runs' curves over each other, a chart a measure. */
export function CompareCharts({ runs }: { runs: readonly ComparedRun[] }) {
  const [view, onView] = useChartView();
  const drawn = useDeferredValue(view);
  const { query, change } = useAddress();
  const theme = useThemeName();
  const onZoom = useCallback((zoom: Range | null) => onView({ zoom }), [onView]);
  const curves = useCurves(runs);
  const measures = useMemo(() => measuresOf(runs), [runs]);
  const chosen = query.get("measures")?.split(",").filter((name) => measures.includes(name)) ?? defaultMeasures(measures, runs);
  const toggle = (name: string, on: boolean): void => change((address) => address.set("measures", measures.filter((other) => (other === name ? on : chosen.includes(other))).join(",")));

  const pending = runs.some(({ metrics, error }) => !metrics && !error);
  if (measures.length === 0) return <p className="text-[13px] text-ink-2">{pending ? "Reading the measures…" : "These runs measured nothing yet."}</p>;
  return (
    <section aria-label="Curves" className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <ChartControls view={view} onView={onView} />
      <fieldset className="flex flex-wrap gap-x-4 gap-y-1.5">
        <legend className="sr-only">Measures</legend>
        {measures.map((name) => (
          <Check key={name} label={describeMeasure(name).label} checked={chosen.includes(name)} onChange={(on) => toggle(name, on)} />
        ))}
      </fieldset>
      {chosen.length === 0 && <p className="rounded-lg border border-dashed border-line-strong px-4 py-10 text-center text-[13px] text-ink-2">Choose a measure.</p>}
      <div className={`grid grid-cols-[minmax(0,1fr)] gap-4 ${chosen.length > 1 ? "xl:grid-cols-2" : ""}`}>
        {chosen.map((measure) => (
          <MeasureChart key={measure} measure={measure} runs={runs} curves={curves} theme={theme} view={drawn} onZoom={onZoom} />
        ))}
      </div>
    </section>
  );
}

type MeasureChartProps = { measure: string; runs: readonly ComparedRun[]; curves: ReadonlyMap<string, Curve>; theme: "light" | "dark"; view: ReturnType<typeof useChartView>[0]; onZoom: (zoom: Range | null) => void };

const exportName = ["compare"];

function MeasureChart({ measure, runs, curves, theme, view, onZoom }: MeasureChartProps) {
  const { label, unit } = describeMeasure(measure);
  const lines = useMemo(
    () =>
      runs.flatMap(({ name, run, metrics }, index): Line[] =>
        (["train", "eval"] as const).flatMap((kind): Line[] => {
          const key = keyOf(name, kind, measure);
          const curve = curves.get(key);
          if (!curve) return [];
          const { colour, dash } = lineLook(index, theme);
          const title = run?.name ?? name.id;
          return [{ id: key, label: kind === "eval" ? `${title}, evaluation` : title, colour, dash, dots: kind === "eval", exact: exact.has(measure), curve, origin: metrics?.first?.time ?? 0 }];
        }),
      ),
    [runs, curves, measure, theme],
  );
  const legend = useMemo(() => legendOf(lines), [lines]);
  return <CurveChart legend={legend} title={label} unit={unit} name={exportName} lines={lines} view={view} onZoom={onZoom} loggable={!unloggable.has(measure)} floor={measure === "tokens_per_second" ? 0 : null} empty="None of these runs measured it." />;
}

/** One entry a run, and what dots are. */
function legendOf(lines: readonly Line[]): LegendItem[] {
  const curves = lines.filter(({ dots }) => !dots);
  const shown = curves.length > 0 ? curves : lines;
  const dotted = curves.length > 0 && lines.some(({ dots }) => dots);
  return [...shown.map(({ label, colour, dash }): LegendItem => ({ label, colour, mark: dash ? "dash" : "line" })), ...(dotted ? [{ label: "evaluations", colour: "var(--ink-3)", mark: "dot" as const }] : [])];
}

const keyOf = ({ node, id }: ComparedRun["name"], kind: Kind, measure: string): string => `${node}:${id} ${kind}:${measure}`;

/** Every series of every run, made anew only when a run's measures were read anew. */
function useCurves(runs: readonly ComparedRun[]): ReadonlyMap<string, Curve> {
  const read = runs.map(({ name, metrics }) => `${name.node}:${name.id}:${metrics?.generation ?? ""}:${metrics?.rows ?? 0}`).join();
  return useMemo(() => {
    const curves = new Map<string, Curve>();
    for (const { name, run, metrics } of runs) {
      const every = typeof run?.config?.log_every === "number" ? run.config.log_every : null;
      for (const told of metrics?.series ?? []) curves.set(keyOf(name, told.kind, told.measure), fromTold(told, told.kind === "train" ? every : null));
    }
    return curves;
  }, [read]); // eslint-disable-line react-hooks/exhaustive-deps -- `read` stands for what of `runs` is used
}

/** What any of the runs measured, without layers and without single patterns' values. */
function measuresOf(runs: readonly ComparedRun[]): string[] {
  const all = new Set(runs.flatMap(({ metrics }) => metrics?.series.map(({ measure }) => measure) ?? []));
  const order = ["kl", "loss", "ce", "teacher_ce", "agreement", "acceptance", "learning_rate", "grad_norm", "tokens_per_second", "memory_gib", "gpu_utilisation"];
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return [...all].filter((name) => !name.startsWith("align.")).sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

/** The KL where all runs have one, else the loss; then agreement. */
function defaultMeasures(measures: readonly string[], runs: readonly ComparedRun[]): string[] {
  const withKl = runs.filter(({ metrics }) => metrics?.series.some(({ measure }) => measure === "kl")).length;
  return first.filter((name) => measures.includes(name) && (name !== "loss" || withKl < runs.length));
}
