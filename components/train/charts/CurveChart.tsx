"use client";

import { memo, useId, useMemo, type ReactNode } from "react";
import { CartesianGrid, LineChart, ReferenceLine, XAxis, YAxis } from "recharts";
import { axis as axisLook, below, grid } from "@/components/explore/charts/style";
import { ChartFrame } from "@/components/ui/ChartFrame";
import type { LegendItem } from "@/components/ui/chart-export";
import { useWidth } from "@/components/ui/chart-hooks";
import type { Curve } from "../metrics";
import { axisPlaces, type Range, smooth } from "../series";
import { formatMeasure } from "../words";
import { CurveOverlay, type Track } from "./CurveOverlay";
import { curvesTable, numbersOf } from "./curve-table";
import { axisLabels, bandPath, curvePath, formatPlace, logTicksWithin, niceTicks, placeTicks, plotOf, ROOM, scaleOf, valueDomain, windowOf } from "./plot";
import type { ChartView } from "./view";

const HEIGHT = 216;

/** A line to draw. `dots`: few entries, each one marked, never smoothed. `origin`: the time that counts as the start. */
export type Line = {
  readonly id: string;
  readonly label: string;
  readonly colour: string;
  readonly dash?: string;
  readonly dots?: boolean;
  /** Never smoothed, as what is set rather than measured. */
  readonly exact?: boolean;
  readonly curve: Curve;
  readonly origin: number;
};

export type Mark = { readonly place: number; readonly name: string };

type CurveChartProps = {
  title: string;
  unit: string;
  description?: ReactNode;
  /** Parts of exported files' names. */
  name: readonly string[];
  lines: readonly Line[];
  view: ChartView;
  onZoom: (zoom: Range | null) => void;
  /** The axis without a zoom, where several charts share it; else that of the lines. */
  extent?: Range | null;
  /** Places where stages begin. */
  marks?: readonly Mark[];
  /** A value that a linear axis always shows. */
  floor?: number | null;
  /** A measure that can be drawn on a log axis. */
  loggable?: boolean;
  /** Where the lines' own entries say more than a reader needs. */
  legend?: readonly LegendItem[];
  empty?: ReactNode;
};

/** Curves over steps, tokens or time: raw ones faint behind their moving averages, zoomed by dragging, read by pointing or by keys. */
export const CurveChart = memo(function CurveChart({ title, unit, description, name, lines, view, onZoom, extent = null, marks = [], floor = null, loggable = true, legend: named, empty }: CurveChartProps) {
  const [measure, width] = useWidth();
  const clip = useId().replaceAll(":", "");
  const { axis, smoothing, zoom } = view;
  const log = view.log && loggable;
  const tracks = useMemo(() => lines.map((line): Track => trackOf(line, axis, smoothing)), [lines, axis, smoothing]);
  const whole = useMemo(() => wholeRange(tracks), [tracks]);
  const range = zoom ?? extent ?? whole;
  const plot = plotOf(width, HEIGHT);
  const domain = useMemo(() => (range ? valueDomain(tracks.map(({ places, values }) => ({ places, values })), range, log, floor) : null), [tracks, range, log, floor]);
  const table = useMemo(() => curvesTable(tracks, axis, 60), [tracks, axis]);
  const legend = useMemo(() => lines.map(({ label, colour, dash, dots }): LegendItem => ({ label, colour, mark: dots ? "dot" : dash ? "dash" : "line" })), [lines]);
  const shown = lines.some(({ curve }) => curve.step.length > 0);

  return (
    <ChartFrame
      title={title}
      unit={unit}
      description={description}
      name={name}
      table={table}
      csv={() => numbersOf(tracks)}
      legend={named ?? (lines.length > 1 || lines[0]?.dots ? legend : [])}
      empty={shown ? undefined : (empty ?? "Nothing recorded yet.")}
    >
      <div ref={measure} className="relative" style={{ height: HEIGHT }}>
        {width > 0 && range && domain && (
          <>
            <LineChart width={width} height={HEIGHT} data={[{ place: range[0] }, { place: range[1] }]} margin={{ top: ROOM.top, right: ROOM.right, bottom: 14, left: 4 }} accessibilityLayer={false} aria-hidden>
              <CartesianGrid {...grid} />
              <XAxis {...axisLook} dataKey="place" type="number" height={ROOM.bottom - 14} domain={[...range]} allowDataOverflow ticks={placeTicks(axis, range, plot.width)} tickFormatter={(place: number) => formatPlace(axis, place)} label={below(axisLabels[axis])} interval={0} />
              <YAxis {...axisLook} width={ROOM.left - 4} scale={log ? "log" : "linear"} domain={[...domain]} allowDataOverflow ticks={log ? logTicksWithin(domain) : niceTicks(domain[0], domain[1], 5)} tickFormatter={formatMeasure} interval={0} />
              {marks
                .filter(({ place }) => place > range[0] && place < range[1])
                .map(({ place, name: stage }) => (
                  <ReferenceLine key={stage} x={place} stroke="var(--ink-3)" strokeDasharray="2 3" label={{ value: stage, position: "insideTopLeft", fontSize: 10, fill: "var(--ink-3)" }} />
                ))}
              <Curves tracks={tracks} plot={plot} range={range} domain={domain} log={log} clip={clip} />
            </LineChart>
            <CurveOverlay chart={clip} title={title} tracks={tracks} plot={plot} range={range} domain={domain} log={log} axis={axis} zoomed={zoom !== null} onZoom={onZoom} />
          </>
        )}
        {width > 0 && !domain && <p className="grid h-full place-items-center text-xs text-ink-2">{log ? "No positive values here: choose a linear axis." : "Nothing was recorded in this part."}</p>}
      </div>
    </ChartFrame>
  );
});

function trackOf(line: Line, axis: ChartView["axis"], smoothing: number): Track {
  const { curve, dots, exact } = line;
  const smoothed = !dots && !exact && smoothing > 0 && curve.step.length > 2;
  return { line, places: axisPlaces(curve, axis, line.origin), raw: curve.value, values: smoothed ? smooth(curve.value, curve.lines, smoothing) : curve.value, smoothed };
}

function wholeRange(tracks: readonly Track[]): Range | null {
  const ends = tracks.flatMap(({ places }) => (places.length > 0 ? [places[0] as number, places.at(-1) as number] : []));
  if (ends.length === 0) return null;
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return low === high ? [low, low + 1] : [low, high];
}

type CurvesProps = { tracks: readonly Track[]; plot: ReturnType<typeof plotOf>; range: Range; domain: Range; log: boolean; clip: string };

/** All curves as one path each: drawing a thousand points as elements of their own would take most of a frame. */
function Curves({ tracks, plot, range, domain, log, clip }: CurvesProps) {
  const x = scaleOf(range, plot.left, plot.width);
  const y = scaleOf(domain, plot.top, plot.height, { log, down: true });
  return (
    <g>
      <defs>
        <clipPath id={clip}>
          <rect x={plot.left} y={plot.top - 2} width={plot.width} height={plot.height + 4} />
        </clipPath>
      </defs>
      <g clipPath={`url(#${clip})`} fill="none" strokeLinejoin="round">
        {tracks.map(({ line, places, raw, values, smoothed }) => {
          const { id, colour, dash, dots, curve } = line;
          const spread = curve.low.some((low, index) => low !== curve.high[index]);
          const [begin, end] = dots ? windowOf(places, range) : [0, 0];
          return (
            <g key={id}>
              {spread && <path d={bandPath(places, curve.low, curve.high, x, y, range)} fill={colour} fillOpacity={0.14} stroke="none" />}
              {smoothed && <path d={curvePath(places, raw, x, y, range)} stroke={colour} strokeOpacity={0.28} strokeWidth={1} />}
              <path d={curvePath(places, values, x, y, range)} stroke={colour} strokeOpacity={dots ? 0.55 : 1} strokeWidth={dots ? 1.25 : 1.75} strokeDasharray={dash || undefined} />
              {places.slice(begin, end).map((place, index) => {
                const height = y(values[begin + index] as number);
                return Number.isFinite(height) ? <circle key={begin + index} cx={x(place)} cy={height} r={2.6} fill={colour} stroke="var(--surface)" strokeWidth={0.75} /> : null;
              })}
            </g>
          );
        })}
      </g>
    </g>
  );
}
