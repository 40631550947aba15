"use client";

import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { isAttentionLayer } from "@/lib/hybrid/config";
import { describeLayer } from "@/components/ui/LayerStrip";
import type { Kind } from "./patterns";
import { pressKey, rangeOf, type Cursor } from "./strip-keys";

type StripEditorProps = {
  label: string;
  pattern: readonly string[];
  /** Layers that no mixer set holds cannot be replaced. */
  replaceable: readonly boolean[];
  selected: number;
  /** Heights of the bars over the cells, 0..1; null: not known (yet). Left out: there are no bars. */
  bars?: readonly (number | null)[];
  /** What the bar of a layer stands for, such as `sensitivity 0.12 nat/token`. */
  describeBar?: (layer: number) => string;
  onSelect: (layer: number) => void;
  onPaint: (first: number, last: number, kind: Kind) => void;
};

type Drag = { from: number; to: number; kind: Kind };

/** The layers as toggle buttons in rows: click or drag paints, arrow keys move, Space toggles, Shift+arrows extend. */
export function StripEditor({ label, pattern, replaceable, selected, bars, describeBar, onSelect, onPaint }: StripEditorProps) {
  const grid = useRef<HTMLDivElement>(null);
  const [anchor, setAnchor] = useState(selected);
  const [drag, setDrag] = useState<Drag | null>(null);
  const cursor: Cursor = { focus: selected, anchor: Math.min(anchor, pattern.length - 1) };
  const [first, last] = drag ? [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)] : rangeOf(cursor);
  const kindOf = (layer: number): Kind => (isAttentionLayer(pattern[layer] ?? "attention") ? "mamba" : "attention");

  // A selection made elsewhere, such as in the list of layers, has no range.
  const own = useRef(false);
  useEffect(() => {
    if (!own.current) setAnchor(selected);
    own.current = false;
  }, [selected]);

  // The focus that a move brings is no move of its own, which would end the range.
  const moving = useRef(false);
  const move = (next: Cursor) => {
    own.current = next.focus !== selected;
    setAnchor(next.anchor);
    onSelect(next.focus);
    moving.current = true;
    grid.current?.querySelector<HTMLElement>(`[data-layer="${next.focus}"]`)?.focus();
    moving.current = false;
  };

  const press = (event: KeyboardEvent) => {
    if (event.altKey) return;
    const effect = pressKey(cursor, { key: event.key, shift: event.shiftKey, control: event.ctrlKey || event.metaKey }, pattern.length, columnsOf(grid.current));
    if (!effect) return;
    event.preventDefault();
    if (effect.toggle) onPaint(...rangeOf(cursor), kindOf(cursor.focus));
    else move(effect.cursor);
  };

  const begin = (event: PointerEvent, layer: number) => {
    if (event.button !== 0) return;
    event.currentTarget.releasePointerCapture(event.pointerId); // a touch would keep its events to the first cell
    if (event.shiftKey) {
      move({ focus: layer, anchor: cursor.anchor });
      return;
    }
    setDrag({ from: layer, to: layer, kind: kindOf(layer) });
  };

  useEffect(() => {
    if (!drag) return;
    const layerAt = (event: globalThis.PointerEvent): number | null => {
      const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>("[data-layer]");
      return cell && grid.current?.contains(cell) ? Number(cell.dataset.layer) : null;
    };
    const follow = (event: globalThis.PointerEvent) => {
      const layer = layerAt(event);
      if (layer !== null && layer !== drag.to) setDrag({ ...drag, to: layer });
    };
    const end = (event: globalThis.PointerEvent) => {
      setDrag(null);
      if (event.type === "pointercancel") return;
      onPaint(drag.from, drag.to, drag.kind);
      own.current = drag.to !== selected;
      setAnchor(drag.to);
      onSelect(drag.to);
    };
    addEventListener("pointermove", follow);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
    return () => {
      removeEventListener("pointermove", follow);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
    };
  });

  return (
    <div
      ref={grid}
      role="group"
      aria-label={label}
      onKeyDown={press}
      className="group/strip grid touch-pan-y grid-cols-[repeat(auto-fit,minmax(1.625rem,1fr))] gap-x-0.5 gap-y-2 select-none"
    >
      {pattern.map((spec, layer) => {
        const within = layer >= first && layer <= last;
        const painted = drag && within ? drag.kind === "mamba" && replaceable[layer] === true : !isAttentionLayer(spec);
        const fixed = replaceable[layer] !== true && isAttentionLayer(spec);
        const value = bars?.[layer] ?? null;
        return (
          <button
            key={layer}
            type="button"
            data-layer={layer}
            tabIndex={layer === selected ? 0 : -1}
            aria-label={`Layer ${layer}: Mamba`}
            aria-pressed={painted}
            aria-disabled={fixed || undefined}
            aria-current={layer === selected ? "true" : undefined}
            title={`Layer ${layer}: ${describeLayer(spec)}${fixed ? " (no set has a Mamba mixer for it)" : ""}${describeBar ? `\n${describeBar(layer)}` : ""}`}
            onPointerDown={(event) => begin(event, layer)}
            // Assistive technology clicks without a pointer.
            onClick={(event) => event.detail === 0 && onPaint(layer, layer, kindOf(layer))}
            onFocus={() => !moving.current && layer !== selected && !drag && move({ focus: layer, anchor: layer })}
            className="group grid min-w-0 gap-1 rounded-[4px] outline-offset-1"
          >
            {bars && (
              <span aria-hidden className="flex h-7 items-end rounded-[2px] bg-sunken">
                {value !== null && (
                  <span className={`w-full rounded-[2px] ${painted ? "bg-mamba/70" : "bg-ink-3/60"}`} style={{ height: `${Math.max(4, 100 * Math.min(1, value))}%` }} />
                )}
              </span>
            )}
            <span
              aria-hidden
              className={`h-8 rounded-[3px] transition-[background-color] duration-100 group-hover:brightness-110 ${painted ? "bg-mamba" : "bg-attention"} ${fixed ? "opacity-55" : ""} ${
                within && drag ? "ring-2 ring-ink/70 ring-inset" : within && first !== last ? "ring-ink/70 ring-inset group-focus-within/strip:ring-2" : ""
              }`}
            />
            <span aria-hidden className={`tabular text-center text-[10px] leading-none ${layer === selected ? "font-semibold text-ink" : "text-ink-3"}`}>
              {layer}
            </span>
            <span aria-hidden className={`mx-auto h-0.5 w-full rounded-full ${layer === selected ? "bg-ink" : "bg-transparent"}`} />
          </button>
        );
      })}
    </div>
  );
}

/** Cells in a row, as the grid was laid out. */
function columnsOf(grid: HTMLElement | null): number {
  if (!grid) return Infinity;
  return getComputedStyle(grid).gridTemplateColumns.split(" ").filter((width) => width !== "0px").length;
}
