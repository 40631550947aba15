"use client";

import { useCallback, useMemo, type ReactNode } from "react";
import { useThemeName } from "@/components/ui/chart-hooks";
import { CurveChart, type Line, type Mark } from "../charts/CurveChart";
import { LayerMap, type LayerCurve } from "../charts/LayerMap";
import { lineLook, type ChartView } from "../charts/view";
import { splitKey, type Curve, type SeriesKey, type StageMark } from "../metrics";
import { axisPlaces, nearest, type Range } from "../series";
import { planCharts, type PlannedChart, type PlannedLine } from "./chart-plan";

type RunChartsProps = {
  name: string;
  series: ReadonlyMap<SeriesKey, Curve>;
  layers: ReadonlyMap<SeriesKey, Curve>;
  /** The run's first time; 0 before anything was written. */
  origin: number;
  stages: readonly StageMark[];
  view: ChartView;
  onView: (change: Partial<ChartView>) => void;
};

/** Everything that a run measured, over one shared axis. */
export function RunCharts({ name, series, layers, origin, stages, view, onView }: RunChartsProps) {
  const theme = useThemeName();
  const onZoom = useCallback((zoom: Range | null) => onView({ zoom }), [onView]);
  const keys = [...series.keys()].join(",");
  const lossUnit = stages.length > 1 ? "by each stage's method" : layers.size > 0 ? "mean relative error of the layers" : series.has("train:margin") ? "nat a pair" : "nat/token";
  // Charts come and go with the measures, not with their values.
  const plan = useMemo(() => planCharts([...series.keys()], (one, other) => alike(series.get(one), series.get(other)), lossUnit), [keys, lossUnit]); // eslint-disable-line react-hooks/exhaustive-deps -- `keys` stands for `series`
  const names = useMemo(() => [name], [name]);
  const marks = useMemo(() => markPlaces(stages, longest(series), view.axis, origin), [stages, series, view.axis, origin]);
  const rows = useMemo(() => layerCurves(layers), [layers]);
  const extent = useMemo(() => extentOf(series, view.axis, origin), [series, view.axis, origin]);

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4 xl:grid-cols-2">
      {plan.map((chart) => (
        <PlanChart key={chart.id} chart={chart} series={series} origin={origin} name={names} view={view} onZoom={onZoom} extent={extent} marks={marks} theme={theme} />
      ))}
      {rows.length > 0 && (
        <div className="min-w-0 xl:col-span-2">
          <LayerMap title="Alignment, layer by layer" name={names} layers={rows} origin={origin} view={view} extent={extent} onZoom={onZoom} />
        </div>
      )}
    </div>
  );
}

type PlanChartProps = { chart: PlannedChart; series: ReadonlyMap<SeriesKey, Curve>; origin: number; name: readonly string[]; view: ChartView; onZoom: (zoom: Range | null) => void; extent: Range | null; marks: readonly Mark[]; theme: "light" | "dark" };

function PlanChart({ chart, series, origin, name, view, onZoom, extent, marks, theme }: PlanChartProps): ReactNode {
  const lines = useMemo(() => chart.lines.flatMap((line, index): Line[] => drawn(line, index, series.get(line.key), origin, theme, chart.exact)), [chart, series, origin, theme]);
  return <CurveChart title={chart.title} unit={chart.unit} name={name} lines={lines} view={view} onZoom={onZoom} extent={extent} marks={marks} description={chart.note} floor={chart.floor} loggable={chart.loggable} />;
}

/** Training in the accent's colour, evaluation as dots in the text's, the teacher dashed; what else there is has colours of its own. */
function drawn(line: PlannedLine, index: number, curve: Curve | undefined, origin: number, theme: "light" | "dark", exact: boolean): Line[] {
  if (!curve) return [];
  const { key: id, label, kind, measure } = line;
  const other = lineLook(index, theme);
  const dots = kind === "eval";
  const shared = { id, label, curve, origin, dots, exact };
  if (measure === "teacher_ce") return [{ ...shared, colour: "var(--ink-3)", ...(dots ? {} : { dash: "5 3" }) }];
  if (measure.includes(".")) return [{ ...shared, ...other }];
  return [{ ...shared, colour: dots ? "var(--ink)" : "var(--accent)" }];
}

function alike(one: Curve | undefined, other: Curve | undefined): boolean {
  return one !== undefined && other !== undefined && one.value.length === other.value.length && one.value.every((value, index) => Math.abs(value - (other.value[index] as number)) <= 1e-6 * Math.abs(value));
}

function longest(series: ReadonlyMap<SeriesKey, Curve>): Curve | null {
  return [...series.values()].reduce<Curve | null>((most, curve) => (curve.step.length > (most?.step.length ?? 0) ? curve : most), null);
}

function markPlaces(stages: readonly StageMark[], curve: Curve | null, axis: ChartView["axis"], origin: number): Mark[] {
  if (!curve || stages.length < 2) return [];
  const places = axisPlaces(curve, axis, origin);
  return stages.flatMap(({ step, name }) => {
    const place = axis === "step" ? step : places[nearest(curve.step, step)];
    return step > 0 && place !== undefined && step <= (curve.step.at(-1) ?? 0) ? [{ place, name }] : [];
  });
}

/** The axis that all charts share: from the first to the last entry of any of them. */
function extentOf(series: ReadonlyMap<SeriesKey, Curve>, axis: ChartView["axis"], origin: number): Range | null {
  const ends = [...series.values()].flatMap((curve) => {
    const places = axisPlaces(curve, axis, origin);
    return places.length > 0 ? [places[0] as number, places.at(-1) as number] : [];
  });
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return high > low ? [low, high] : null;
}

/** One curve a layer: that of training, which has more entries than that of evaluation. */
function layerCurves(layers: ReadonlyMap<SeriesKey, Curve>): LayerCurve[] {
  const found = new Map<number, Curve>();
  for (const [key, curve] of layers) {
    const [kind, measure] = splitKey(key);
    const layer = Number(measure.slice("align.".length));
    if (Number.isInteger(layer) && (kind === "train" || !found.has(layer))) found.set(layer, curve);
  }
  return [...found].sort(([one], [two]) => one - two).map(([layer, curve]) => ({ layer, curve }));
}
