"use client";

import { memo, useLayoutEffect, useMemo, useRef, type KeyboardEvent } from "react";
import { heatColor } from "./heat";

type TokenTextProps = {
  pieces: readonly string[];
  /** A value a token; the colours. */
  values: ArrayLike<number>;
  top: number;
  /** True where the likeliest tokens differ: underlined. */
  differs: (position: number) => boolean;
  active: number;
  onActive: (position: number) => void;
  label: string;
};

/** The text, each token coloured by its value; hover, touch, or arrow keys choose one. */
export function TokenText({ pieces, values, top, differs, active, onActive, label }: TokenTextProps) {
  const box = useRef<HTMLDivElement>(null);
  const pointer = useRef<readonly [x: number, y: number] | null>(null);
  const cells = useMemo(
    () => pieces.map((piece, position) => ({ piece, color: heatColor(values[position] ?? 0, top), differs: differs(position) })),
    [pieces, values, top, differs],
  );
  // The mark follows the pointer: it is moved here alone, so that a thousand tokens are not compared at each step.
  useLayoutEffect(() => {
    const token = box.current?.querySelector(`[data-token="${active}"]`);
    token?.setAttribute("aria-selected", "true");
    return () => token?.setAttribute("aria-selected", "false");
  }, [active, cells]);

  const move = (position: number) => {
    onActive(position);
    box.current?.querySelector(`[data-token="${position}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const press = (event: KeyboardEvent) => {
    const target = { ArrowRight: active + 1, ArrowLeft: active - 1, ArrowDown: active + 10, ArrowUp: active - 10, Home: 0, End: pieces.length - 1 }[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(Math.min(pieces.length - 1, Math.max(0, target)));
  };
  const pointed = (target: EventTarget) => {
    const token = target instanceof Element ? target.closest<HTMLElement>("[data-token]")?.dataset.token : undefined;
    if (token !== undefined) onActive(Number(token));
  };
  return (
    <div
      ref={box}
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={`token-${active}`}
      onKeyDown={press}
      onPointerMove={({ clientX, clientY }) => (pointer.current = [clientX, clientY])}
      onPointerOver={({ pointerType, target, clientX, clientY }) => {
        // Text that the keys scroll comes to lie under a pointer at rest: that chooses nothing.
        const rests = pointer.current?.[0] === clientX && pointer.current[1] === clientY;
        pointer.current = [clientX, clientY];
        if (pointerType === "mouse" && !rests) pointed(target);
      }}
      onClick={(event) => pointed(event.target)}
      className="max-h-[26rem] overflow-y-auto rounded-lg border border-line bg-surface p-3.5 font-mono text-[13px] leading-[1.75] [overflow-wrap:anywhere] whitespace-pre-wrap [font-variant-ligatures:none]"
    >
      <Tokens cells={cells} />
    </div>
  );
}

type Cell = { piece: string; color: string; differs: boolean };

const Tokens = memo(function Tokens({ cells }: { cells: readonly Cell[] }) {
  return cells.map(({ piece, color, differs }, position) => {
    const breaks = piece.split("\n").length - 1;
    return (
      <span
        key={position}
        id={`token-${position}`}
        role="option"
        aria-selected={false}
        data-token={position}
        style={{ backgroundColor: color }}
        className={`rounded-[2px] aria-selected:outline-2 aria-selected:outline-ink ${differs ? "underline decoration-ink-2 decoration-dotted underline-offset-4" : ""}`}
      >
        {breaks > 0 && piece.trim() === "" && <span className="text-ink-2">{"↵".repeat(breaks)}</span>}
        {piece || <span aria-label="part of a character">·</span>}
      </span>
    );
  });
});
