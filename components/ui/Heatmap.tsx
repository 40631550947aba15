"use client";

import { useEffect, useId, useMemo, useRef } from "react";
import { usePixelRatio, useWidth } from "./chart-hooks";
import { cssColour, packColours, type Rgb, type Spread, unspread } from "./heatmap-colours";
import { HeatmapAxes, MARGINS } from "./HeatmapAxes";
import { paintMatrix } from "./heatmap-paint";
import { type Cell, type View } from "./heatmap-view";
import { useHeatmapGestures } from "./heatmap-gestures";

export type HeatmapProps = {
  /** What the map shows, such as `Attention, head 3`. */
  label: string;
  /** Row-major n x n matrices and where this one begins; only the cells on and below the diagonal count. */
  values: Float32Array;
  offset: number;
  n: number;
  /** Magnitude at the end of the colour scale, and its unit. */
  maximum: number;
  unit: string;
  colours: readonly Rgb[];
  /** Signed values: the middle colour is 0. */
  signed: boolean;
  spread: Spread;
  /** Text of each row and column. */
  tokens: readonly string[];
  view: View;
  onView: (change: (view: View) => View) => void;
  cursor: Cell | null;
  onCursor: (cell: Cell | null) => void;
  /** The text of a cell, for screen readers. */
  describe: (cell: Cell) => string;
  /** Numbers that stand for the whole map, for screen readers. */
  summary: string;
};

/** A causal matrix on a canvas, painted at the screen's own pixels: zoomed by wheel, pinch and keys, panned by dragging, read cell by cell. */
export function Heatmap(props: HeatmapProps) {
  const { label, n, colours, signed, spread, tokens, view, cursor, describe, summary } = props;
  const hint = useId();
  const [measure, width] = useWidth();
  const ratio = usePixelRatio();
  const plot = Math.max(0, width - MARGINS.left - MARGINS.right);
  const canvas = useRef<HTMLCanvasElement>(null);
  const packed = useMemo(() => packColours(colours), [colours]);
  usePainting(canvas, plot, ratio, packed, props);
  const area = useRef<HTMLDivElement>(null);
  const { handlers, announces } = useHeatmapGestures(area, props);

  return (
    <div ref={measure} className="relative min-w-0 select-none" style={{ height: plot + MARGINS.top + MARGINS.bottom }}>
      <div
        ref={area}
        role="application"
        aria-roledescription="heatmap"
        aria-label={label}
        aria-describedby={hint}
        tabIndex={0}
        className="absolute overflow-hidden rounded-[3px] bg-sunken"
        style={{ left: MARGINS.left, top: MARGINS.top, width: plot, height: plot, touchAction: view.size < n ? "none" : "pan-x pan-y", cursor: "crosshair" }}
        {...handlers}
      >
        <canvas ref={canvas} data-plot aria-hidden className="block size-full" />
        {cursor && <CursorMark cell={cursor} view={view} plot={plot} />}
      </div>
      <HeatmapAxes
        plot={plot}
        view={view}
        n={n}
        tokens={tokens}
        legend={{ colours: colours.map(cssColour), signed, unit: props.unit, valueAt: (place) => unspread(place, spread) * props.maximum }}
      />
      <p id={hint} className="sr-only">
        {summary} Arrow keys move over the cells, plus and minus zoom, 0 shows the whole matrix, Shift with an arrow moves the view.
      </p>
      <p aria-live="polite" className="sr-only">
        {announces && cursor ? describe(cursor) : ""}
      </p>
    </div>
  );
}

/** Paints when what is seen changes, at most once a frame. */
function usePainting(canvas: React.RefObject<HTMLCanvasElement | null>, plot: number, ratio: number, colours: Uint32Array, props: HeatmapProps): void {
  const { values, offset, n, maximum, signed, spread, view } = props;
  useEffect(() => {
    const side = Math.round(plot * ratio);
    if (side < 1) return;
    const frame = requestAnimationFrame(() => {
      const element = canvas.current;
      const context = element?.getContext("2d");
      if (!element || !context) return;
      if (element.width !== side || element.height !== side) element.width = element.height = side;
      const image = context.createImageData(side, side);
      paintMatrix(new Uint32Array(image.data.buffer), side, side, view, { values, offset, n, maximum, colours, signed, spread });
      context.putImageData(image, 0, 0);
    });
    return () => cancelAnimationFrame(frame);
  }, [canvas, plot, ratio, values, offset, n, maximum, colours, signed, spread, view]);
}

function CursorMark({ cell, view, plot }: { cell: Cell; view: View; plot: number }) {
  const side = plot / view.size;
  const left = (cell.column - view.x) * side;
  const top = (cell.row - view.y) * side;
  const size = Math.max(side, 5);
  const nudge = (size - side) / 2;
  return (
    <div aria-hidden className="pointer-events-none">
      <span className="absolute inset-x-0 h-px bg-ink/35" style={{ top: top + side / 2 }} />
      <span className="absolute inset-y-0 w-px bg-ink/35" style={{ left: left + side / 2 }} />
      <span className="absolute rounded-[2px] border-2 border-ink ring-1 ring-surface" style={{ left: left - nudge - 1, top: top - nudge - 1, width: size + 2, height: size + 2 }} />
    </div>
  );
}
