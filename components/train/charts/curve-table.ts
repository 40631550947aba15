/** The numbers behind curves, for tables and files. */
import type { Table } from "@/components/ui/chart-export";
import type { Axis } from "../series";
import { formatPlace } from "./plot";
import type { Track } from "./CurveOverlay";

/** A table that a reader can take in: at most about `rows` entries of each line. */
export function curvesTable(tracks: readonly Track[], axis: Axis, rows: number): Table {
  const each = Math.max(4, Math.floor(rows / Math.max(1, tracks.length)));
  return {
    columns: ["line", axis, "value", "as recorded"],
    rows: tracks.flatMap(({ line, places, values, raw }) => {
      const stride = Math.max(1, Math.ceil(places.length / each));
      return places.flatMap((place, index) => {
        if (index % stride !== 0 && index !== places.length - 1) return [];
        return [[line.label, axis === "step" ? place : formatPlace(axis, Math.round(place)), finite(values[index]), finite(raw[index])]];
      });
    }),
  };
}

/** Every entry that is held, at full precision. */
export function numbersOf(tracks: readonly Track[]): Table {
  return {
    columns: ["line", "step", "tokens", "time", "value", "smoothed", "low", "high", "lines"],
    rows: tracks.flatMap(({ line, values, smoothed }) => {
      const { step, tokens, time, value, low, high, lines } = line.curve;
      return step.map((at, index) => [line.label, at, tokens[index] ?? null, time[index] ?? null, finite(value[index]), smoothed ? finite(values[index]) : null, finite(low[index]), finite(high[index]), lines[index] ?? 1]);
    }),
  };
}

const finite = (value: number | undefined): number | null => (value !== undefined && Number.isFinite(value) ? value : null);
