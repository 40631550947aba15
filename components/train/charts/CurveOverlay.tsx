"use client";

import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { ChartTooltip } from "@/components/explore/charts/ChartTooltip";
import { nearest, type Axis, type Range } from "../series";
import { formatMeasure } from "../words";
import type { Line } from "./CurveChart";
import { formatPlace, type Plot, scaleOf } from "./plot";
import { useCursor } from "./view";

/** A line as it is drawn on the present axis. */
export type Track = { readonly line: Line; readonly places: readonly number[]; readonly raw: readonly number[]; readonly values: readonly number[]; readonly smoothed: boolean };

type CurveOverlayProps = { chart: string; title: string; tracks: readonly Track[]; plot: Plot; range: Range; domain: Range; log: boolean; axis: Axis; zoomed: boolean; onZoom: (zoom: Range | null) => void };

/** A drag narrower than this, in pixels, is a click. */
const SLACK = 5;
const TOOLTIP_WIDTH = 210;

/** What the pointer and the keys do over a plot: the cursor of all charts, and zooming. Apart from the drawing, which a movement leaves as it is. */
export function CurveOverlay({ chart, title, tracks, plot, range, domain, log, axis, zoomed, onZoom }: CurveOverlayProps) {
  const { place, chart: owner } = useCursor();
  const drag = useRef<{ from: number; x: number } | null>(null);
  const [picked, setPicked] = useState<Range | null>(null);
  const x = scaleOf(range, 0, plot.width);
  const y = scaleOf(domain, 0, plot.height, { log, down: true });
  const owns = owner === chart;
  useEffect(() => () => void (useCursor.getState().chart === chart && useCursor.setState({ place: null, chart: null })), [chart]);

  const placeAt = (event: PointerEvent<HTMLElement>): number => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return range[0] + share * (range[1] - range[0]);
  };
  const finish = (event: PointerEvent<HTMLElement>): void => {
    const start = drag.current;
    drag.current = null;
    setPicked(null);
    if (!start || Math.abs(event.clientX - start.x) < SLACK) return;
    const to = placeAt(event);
    onZoom([Math.min(start.from, to), Math.max(start.from, to)]);
  };
  const point = (to: number): void => useCursor.setState({ place: Math.min(range[1], Math.max(range[0], to)), chart });
  const press = (event: KeyboardEvent): void => {
    const at = place ?? (range[0] + range[1]) / 2;
    const length = range[1] - range[0];
    const zoomBy = (factor: number): void => onZoom([at - (at - range[0]) * factor, at + (range[1] - at) * factor]);
    const move = (share: number): void => onZoom([range[0] + share * length, range[1] + share * length]);
    const back = event.key === "ArrowLeft";
    if (back || event.key === "ArrowRight") {
      if (event.shiftKey && zoomed) move(back ? -0.2 : 0.2);
      else point(stepFrom(tracks, at, back ? -1 : 1, length));
    } else if (event.key === "Home") point(range[0]);
    else if (event.key === "End") point(range[1]);
    else if (event.key === "+" || event.key === "=") zoomBy(0.6);
    else if (event.key === "-" && zoomed) zoomBy(1 / 0.6);
    else if (event.key === "0" || event.key === "Escape") onZoom(null);
    else return;
    event.preventDefault();
  };

  const shown = place !== null && place >= range[0] && place <= range[1] ? place : null;
  const rows = shown === null ? [] : tracks.flatMap((track) => readingOf(track, shown, range));
  return (
    <div
      role="application"
      aria-roledescription="chart"
      aria-label={`${title}: arrow keys read the curves, plus and minus zoom, 0 shows all`}
      tabIndex={0}
      className="absolute touch-pan-y cursor-crosshair"
      style={{ left: plot.left, top: plot.top, width: plot.width, height: plot.height }}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        drag.current = { from: placeAt(event), x: event.clientX };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        const to = placeAt(event);
        point(to);
        const start = drag.current;
        if (start && Math.abs(event.clientX - start.x) >= SLACK) setPicked([Math.min(start.from, to), Math.max(start.from, to)]);
      }}
      onPointerUp={finish}
      onPointerCancel={() => {
        drag.current = null;
        setPicked(null);
      }}
      onPointerLeave={() => !drag.current && useCursor.setState({ place: null, chart: null })}
      onDoubleClick={() => onZoom(null)}
      onBlur={() => useCursor.setState({ place: null, chart: null })}
      onKeyDown={press}
    >
      {picked && <span aria-hidden className="absolute inset-y-0 border-x border-accent bg-accent/12" style={{ left: x(picked[0]), width: x(picked[1]) - x(picked[0]) }} />}
      {shown !== null && <span aria-hidden className="pointer-events-none absolute inset-y-0 w-px bg-ink/35" style={{ left: x(shown) }} />}
      {rows.map(({ id, at, value, colour }) => {
        const top = y(value);
        return top >= -2 && top <= plot.height + 2 ? <span key={id} aria-hidden className="pointer-events-none absolute size-2 -translate-1/2 rounded-full ring-2 ring-surface" style={{ left: x(at), top, background: colour }} /> : null;
      })}
      {owns && shown !== null && rows.length > 0 && (
        <div aria-live="polite" className="pointer-events-none absolute z-10" style={{ top: 4, width: TOOLTIP_WIDTH, ...(x(shown) > plot.width / 2 ? { right: plot.width - x(shown) + 10 } : { left: x(shown) + 10 }) }}>
          <ChartTooltip title={titleOf(axis, shown)} rows={rows.map(({ label, text, colour }) => ({ label, value: text, colour }))} />
        </div>
      )}
    </div>
  );
}

const titleOf = (axis: Axis, place: number): string => (axis === "step" ? `Step ${Math.round(place)}` : axis === "tokens" ? `${formatPlace(axis, Math.round(place))} tokens` : `After ${formatPlace(axis, Math.round(place))}`);

type Reading = { id: string; at: number; value: number; label: string; text: string; colour: string };

/** What a line shows where the cursor is: its nearest entry, unless that is far off. */
function readingOf({ line, places, values, raw, smoothed }: Track, place: number, range: Range): Reading[] {
  const index = nearest(places, place);
  const at = places[index];
  const value = values[index];
  if (at === undefined || value === undefined || !Number.isFinite(value)) return [];
  // Evaluations are rare: one is named only where the cursor is near it.
  if (Math.abs(at - place) > (line.dots ? 0.03 : 0.02) * (range[1] - range[0]) && !(place > (places[0] as number) && place < (places.at(-1) as number) && !line.dots)) return [];
  const text = smoothed ? `${formatMeasure(value)} (${formatMeasure(raw[index] as number)})` : formatMeasure(value);
  return [{ id: line.id, at, value, label: line.label, text, colour: line.colour }];
}

/** The next entry of the densest line in a direction. */
function stepFrom(tracks: readonly Track[], at: number, by: -1 | 1, length: number): number {
  const densest = tracks.reduce<readonly number[]>((most, { places }) => (places.length > most.length ? places : most), []);
  const index = nearest(densest, at);
  const next = densest[index + by];
  return next === undefined ? at + (by * length) / 50 : next;
}
