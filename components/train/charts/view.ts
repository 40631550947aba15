"use client";

import { create } from "zustand";
import type { Axis, Range } from "../series";

/** What all charts of a page share. */
export type ChartView = {
  readonly axis: Axis;
  readonly log: boolean;
  /** Weight of the past in the moving average, 0 (none) to 0.99. */
  readonly smoothing: number;
  /** The shown part of the axis; null: all. */
  readonly zoom: Range | null;
};

export const plainView: ChartView = { axis: "step", log: false, smoothing: 0.6, zoom: null };

type Cursor = { readonly place: number | null; /** The chart that the pointer or the focus is in. */ readonly chart: string | null };

/** Where the reader points, on the axis that all charts share. Apart from the view: it changes with each movement. */
export const useCursor = create<Cursor>(() => ({ place: null, chart: null }));

/** Lines that a reader must tell apart, by colour and by dashes; colours differ in lightness too. */
const light = ["#2f5bd0", "#b4530a", "#0b7f73", "#8a3fb5", "#9b8400", "#c2357c", "#3b8fc4", "#4a4a45"];
const dark = ["#86a6ff", "#f2a35c", "#41c4b2", "#c79bf2", "#d9c64a", "#f58cbc", "#7cc7ee", "#c4c4be"];
const dashes = ["", "7 3", "2 3", "9 3 2 3", "5 2", "12 4", "3 2 1 2", "1 2"];

/** Colour and dashes of the nth line. */
export function lineLook(index: number, theme: "light" | "dark"): { colour: string; dash: string } {
  const colours = theme === "dark" ? dark : light;
  return { colour: colours[index % colours.length] ?? "", dash: dashes[index % dashes.length] ?? "" };
}
