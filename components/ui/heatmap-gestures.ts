"use client";

import { useEffect, useRef, useState, type FocusEvent, type KeyboardEvent, type PointerEvent, type RefObject } from "react";
import { type Cell, cellAt, panView, pointAt, revealCell, type View, wholeView, zoomView } from "./heatmap-view";

type Target = {
  n: number;
  view: View;
  onView: (change: (view: View) => View) => void;
  cursor: Cell | null;
  onCursor: (cell: Cell | null) => void;
};

/** A drag shorter than this, in pixels, is a click. */
const SLACK = 4;
const KEY_ZOOM = 1.5;

const arrows: Readonly<Record<string, readonly [dx: number, dy: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

type Handlers = {
  onPointerDown: (event: PointerEvent) => void;
  onPointerMove: (event: PointerEvent) => void;
  onPointerUp: (event: PointerEvent) => void;
  onPointerCancel: (event: PointerEvent) => void;
  onPointerLeave: (event: PointerEvent) => void;
  onDoubleClick: (event: React.MouseEvent) => void;
  onKeyDown: (event: KeyboardEvent) => void;
  onBlur: (event: FocusEvent) => void;
};

/**
 * Pointer, wheel and keys over a square plot. The wheel zooms while the plot has the focus, or with Ctrl (which a trackpad's pinch
 * sends): a page that is scrolled past it goes on scrolling. `announces`: the cursor was moved by key.
 */
export function useHeatmapGestures(ref: RefObject<HTMLDivElement | null>, { n, view, onView, cursor, onCursor }: Target): { handlers: Handlers; announces: boolean } {
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  const moved = useRef(false);
  const [announces, setAnnounces] = useState(false);

  const share = (clientX: number, clientY: number): { u: number; v: number } => {
    const box = ref.current?.getBoundingClientRect();
    if (!box || box.width === 0) return { u: 0, v: 0 };
    return { u: (clientX - box.left) / box.width, v: (clientY - box.top) / box.height };
  };
  const zoomAt = (factor: number, clientX: number, clientY: number): void => {
    const { u, v } = share(clientX, clientY);
    onView((now) => zoomView(now, factor, pointAt(now, u, v), n));
  };
  const point = (event: { clientX: number; clientY: number }): void => {
    const { u, v } = share(event.clientX, event.clientY);
    const cell = cellAt(view, u, v, n);
    onCursor(cell.column > cell.row ? null : cell);
  };

  const latest = useRef(zoomAt);
  useEffect(() => {
    latest.current = zoomAt;
  });
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    // React listens to wheel passively, which cannot hold the page back.
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== element) return;
      event.preventDefault();
      const step = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
      latest.current(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), event.clientX, event.clientY);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [ref]);

  const drag = (event: PointerEvent): void => {
    const held = pointers.current;
    const last = held.get(event.pointerId);
    if (!last) return;
    const { width = 1 } = ref.current?.getBoundingClientRect() ?? {};
    const now = { x: event.clientX, y: event.clientY };
    const other = [...held.entries()].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const before = Math.hypot(last.x - other.x, last.y - other.y);
      const after = Math.hypot(now.x - other.x, now.y - other.y);
      if (before > 0) zoomAt(after / before, (now.x + other.x) / 2, (now.y + other.y) / 2);
      moved.current = true;
    } else if (moved.current || Math.hypot(now.x - last.x, now.y - last.y) > SLACK) {
      moved.current = true;
      const dx = last.x - now.x;
      const dy = last.y - now.y;
      onView((old) => panView(old, (dx * old.size) / width, (dy * old.size) / width, n));
    } else return;
    held.set(event.pointerId, now);
  };

  const release = (event: PointerEvent): void => {
    if (pointers.current.delete(event.pointerId) && !moved.current) point(event);
  };

  const key = (event: KeyboardEvent): void => {
    const at = cursor ?? { row: Math.min(n - 1, Math.floor(view.y + view.size / 2)), column: Math.floor(view.x) };
    const arrow = arrows[event.key];
    const go = (cell: Cell): void => {
      const row = Math.min(n - 1, Math.max(0, cell.row));
      const next = { row, column: Math.min(row, Math.max(0, cell.column)) };
      setAnnounces(true);
      onCursor(next);
      onView((now) => revealCell(now, next, n));
    };
    const centre = { x: at.column + 0.5, y: at.row + 0.5 };
    if (arrow && event.shiftKey) onView((now) => panView(now, (arrow[0] * now.size) / 8, (arrow[1] * now.size) / 8, n));
    else if (arrow) go(cursor ? { row: at.row + arrow[1], column: at.column + arrow[0] } : at);
    else if (event.key === "Home") go({ ...at, column: 0 });
    else if (event.key === "End") go({ ...at, column: at.row });
    else if (event.key === "PageUp") go({ ...at, row: at.row - 10 });
    else if (event.key === "PageDown") go({ ...at, row: at.row + 10 });
    else if (event.key === "+" || event.key === "=") onView((now) => zoomView(now, KEY_ZOOM, centre, n));
    else if (event.key === "-") onView((now) => zoomView(now, 1 / KEY_ZOOM, centre, n));
    else if (event.key === "0") onView(() => wholeView(n));
    else if (event.key === "Escape") onCursor(null);
    else return;
    event.preventDefault();
  };

  return {
    announces,
    handlers: {
      onPointerDown: (event) => {
        if (event.pointerType === "mouse" && event.button !== 0) return;
        pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
        if (pointers.current.size === 1) moved.current = false;
        event.currentTarget.setPointerCapture(event.pointerId);
      },
      onPointerMove: (event) => {
        setAnnounces(false);
        if (pointers.current.has(event.pointerId)) drag(event);
        else point(event);
      },
      onPointerUp: release,
      onPointerCancel: (event) => void pointers.current.delete(event.pointerId),
      onPointerLeave: (event) => {
        if (event.pointerType === "mouse" && document.activeElement !== ref.current) onCursor(null);
      },
      onDoubleClick: (event) => zoomAt(2, event.clientX, event.clientY),
      onKeyDown: key,
      onBlur: () => setAnnounces(false),
    },
  };
}
