"use client";

import { memo, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { ChartTooltip } from "@/components/explore/charts/ChartTooltip";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { usePixelRatio, useThemeName, useWidth } from "@/components/ui/chart-hooks";
import { Segmented } from "@/components/ui/Field";
import { ColourLegend } from "@/components/ui/HeatmapAxes";
import { cssColour, packColours, sequentialScale } from "@/components/ui/heatmap-colours";
import { palettes } from "@/components/ui/heatmap-palette";
import { axisPlaces, nearest, type Axis, type Range } from "../series";
import type { Curve } from "../metrics";
import { formatMeasure } from "../words";
import { type LayerRow, paintLayers, scaleFor, valueAt } from "./layer-map";
import { axisLabels, formatPlace, placeTicks, ROOM, scaleOf } from "./plot";
import { useCursor, type ChartView } from "./view";

const FOOT = 70;

export type LayerCurve = { readonly layer: number; readonly curve: Curve };

type LayerMapProps = { title: string; name: readonly string[]; layers: readonly LayerCurve[]; origin: number; view: ChartView; /** The axis without a zoom, shared with the charts around. */ extent: Range | null; onZoom: (zoom: Range | null) => void };

/** How far each layer is aligned with its teacher's, over the run: one row a layer. */
export const LayerMap = memo(function LayerMap({ title, name, layers, origin, view, extent, onZoom }: LayerMapProps) {
  const [measure, width] = useWidth();
  const [kind, setKind] = useState<"linear" | "log">("log");
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = usePixelRatio();
  const theme = useThemeName();
  const colours = useMemo(() => sequentialScale(palettes[theme]), [theme]);
  const rows = useMemo(() => layers.map(({ layer, curve }): LayerRow => ({ layer, places: axisPlaces(curve, view.axis, origin), values: curve.value })), [layers, view.axis, origin]);
  const whole = useMemo((): Range => wholeOf(rows), [rows]);
  const range = view.zoom ?? extent ?? whole;
  const scale = useMemo(() => scaleFor(rows, range, kind === "log"), [rows, range, kind]);
  const cell = Math.max(7, Math.min(20, Math.round(190 / Math.max(1, rows.length))));
  const plot = { left: ROOM.left, top: ROOM.top, width: Math.max(0, width - ROOM.left - ROOM.right), height: cell * rows.length };
  useEffect(() => {
    const pixels = Math.round(plot.width * ratio);
    if (pixels < 1 || rows.length === 0) return;
    const frame = requestAnimationFrame(() => {
      const element = canvas.current;
      const context = element?.getContext("2d");
      if (!element || !context) return;
      if (element.width !== pixels || element.height !== rows.length) [element.width, element.height] = [pixels, rows.length];
      const image = context.createImageData(pixels, rows.length);
      paintLayers(new Uint32Array(image.data.buffer), pixels, rows, range, scale, packColours(colours));
      context.putImageData(image, 0, 0);
    });
    return () => cancelAnimationFrame(frame);
  }, [plot.width, ratio, rows, range, scale, colours]);
  const x = scaleOf(range, plot.left, plot.width);
  const total = plot.top + plot.height + FOOT;

  return (
    <ChartFrame
      title={title}
      unit="relative error of each layer's output"
      description={`Each row is a layer that is being replaced. ${theme === "dark" ? "Lighter" : "Darker"} is further from what the teacher's layer does with the same input.`}
      name={name}
      table={{ columns: ["layer", "first", "last", "lowest"], rows: rows.map(({ layer, values }) => [layer, values[0] ?? null, values.at(-1) ?? null, values.length > 0 ? Math.min(...values.filter(Number.isFinite)) : null]) }}
      csv={() => ({ columns: ["layer", "step", "tokens", "time", "error"], rows: layers.flatMap(({ layer, curve }) => curve.step.map((step, index) => [layer, step, curve.tokens[index] ?? null, curve.time[index] ?? null, curve.value[index] ?? null])) })}
      controls={
        <Segmented
          label="Colours"
          value={kind}
          options={[
            { value: "linear", label: "Linear" },
            { value: "log", label: "Log" },
          ]}
          onChange={setKind}
        />
      }
    >
      <div ref={measure} className="relative" style={{ height: total }}>
        {width > 0 && (
          <>
            <canvas ref={canvas} data-plot aria-hidden className="absolute bg-sunken [image-rendering:pixelated]" style={{ left: plot.left, top: plot.top, width: plot.width, height: plot.height }} />
            <svg data-figure aria-hidden width={width} height={total} className="pointer-events-none absolute inset-0 text-ink-2" fill="currentColor" fontSize={10}>
              <rect x={plot.left - 0.5} y={plot.top - 0.5} width={plot.width + 1} height={plot.height + 1} fill="none" className="stroke-line-strong" />
              {rows.map(({ layer }, index) =>
                cell >= 11 || index % 2 === 0 ? (
                  <text key={layer} x={plot.left - 6} y={plot.top + (index + 0.5) * cell + 3.5} textAnchor="end" className="tabular">
                    {layer}
                  </text>
                ) : null,
              )}
              {placeTicks(view.axis, range, plot.width).map((place) => (
                <text key={place} x={x(place)} y={plot.top + plot.height + 14} textAnchor="middle" className="tabular">
                  {formatPlace(view.axis, place)}
                </text>
              ))}
              <text transform={`translate(11 ${plot.top + plot.height / 2}) rotate(-90)`} textAnchor="middle" className="fill-ink-3">
                layer
              </text>
              <text x={plot.left + plot.width / 2} y={plot.top + plot.height + 29} textAnchor="middle" className="fill-ink-3">
                {axisLabels[view.axis]}
              </text>
              <ColourLegend x={plot.left} y={plot.top + plot.height + 40} width={Math.min(plot.width, 300)} colours={colours.map(cssColour)} signed={false} unit="" valueAt={(place) => valueAt(place, scale)} />
            </svg>
            <Reader title={title} rows={rows} plot={plot} cell={cell} range={range} axis={view.axis} onZoom={onZoom} />
          </>
        )}
      </div>
    </ChartFrame>
  );
});

function wholeOf(rows: readonly LayerRow[]): Range {
  const ends = rows.flatMap(({ places }) => (places.length > 0 ? [places[0] as number, places.at(-1) as number] : []));
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return ends.length === 0 ? [0, 1] : low === high ? [low, low + 1] : [low, high];
}

type ReaderProps = { title: string; rows: readonly LayerRow[]; plot: { left: number; top: number; width: number; height: number }; cell: number; range: Range; axis: Axis; onZoom: (zoom: Range | null) => void };

/** Reads the map cell by cell, by pointer or keys, with the cursor that all charts share. */
function Reader({ title, rows, plot, cell, range, axis, onZoom }: ReaderProps) {
  const { place, chart } = useCursor();
  const [line, setLine] = useState(0);
  const owns = chart === title;
  const shown = place !== null && place >= range[0] && place <= range[1] ? place : null;
  const x = scaleOf(range, 0, plot.width);
  const row = rows[Math.min(line, rows.length - 1)];
  const value = row && shown !== null ? row.values[nearest(row.places, shown)] : undefined;
  const step = (range[1] - range[0]) / 60;
  const press = (event: KeyboardEvent): void => {
    const at = place ?? range[0];
    const point = (to: number): void => useCursor.setState({ place: Math.min(range[1], Math.max(range[0], to)), chart: title });
    if (event.key === "ArrowLeft") point(at - step);
    else if (event.key === "ArrowRight") point(at + step);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setLine(Math.min(rows.length - 1, Math.max(0, line + (event.key === "ArrowDown" ? 1 : -1))));
      point(at);
    } else if (event.key === "0" || event.key === "Escape") onZoom(null);
    else return;
    event.preventDefault();
  };
  return (
    <div
      role="application"
      aria-roledescription="heatmap"
      aria-label={`${title}: arrow keys move over layers and steps, 0 shows all`}
      tabIndex={0}
      className="absolute cursor-crosshair"
      style={{ left: plot.left, top: plot.top, width: plot.width, height: plot.height }}
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        setLine(Math.min(rows.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / cell))));
        useCursor.setState({ place: range[0] + ((event.clientX - box.left) / box.width) * (range[1] - range[0]), chart: title });
      }}
      onPointerLeave={() => useCursor.setState({ place: null, chart: null })}
      onBlur={() => useCursor.setState({ place: null, chart: null })}
      onDoubleClick={() => onZoom(null)}
      onKeyDown={press}
    >
      {shown !== null && <span aria-hidden className="pointer-events-none absolute inset-y-0 w-px bg-ink/40" style={{ left: x(shown) }} />}
      {owns && row && <span aria-hidden className="pointer-events-none absolute inset-x-0 border-y border-ink/60" style={{ top: line * cell, height: cell }} />}
      {owns && shown !== null && row && (
        <div aria-live="polite" className="pointer-events-none absolute z-10 w-40" style={{ top: Math.min(plot.height - 40, (line + 1) * cell + 4), ...(x(shown) > plot.width / 2 ? { right: plot.width - x(shown) + 10 } : { left: x(shown) + 10 }) }}>
          <ChartTooltip title={`Layer ${row.layer}, ${axis === "step" ? `step ${Math.round(shown)}` : formatPlace(axis, Math.round(shown))}`} rows={[{ label: "Error", value: value === undefined ? "–" : formatMeasure(value) }]} />
        </div>
      )}
    </div>
  );
}
