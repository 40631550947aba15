/** Painting the visible part of a causal matrix, pixel by pixel. */
import { type Spread, spread } from "./heatmap-colours";
import type { View } from "./heatmap-view";

export type Painting = {
  /** Row-major n x n matrix, from `offset`; only cells on and below the diagonal are read. */
  readonly values: Float32Array;
  readonly offset: number;
  readonly n: number;
  /** Magnitude at the scale's end. */
  readonly maximum: number;
  /** Packed colours; signed: the middle one is 0. */
  readonly colours: Uint32Array;
  readonly signed: boolean;
  readonly spread: Spread;
};

/**
 * Fills `pixels` (width x height) with the cells in view; above the diagonal it stays transparent. Where a pixel covers several cells it
 * shows the one of greatest magnitude, so that thin stripes survive being small; where a cell covers several pixels its edges are sharp.
 */
export function paintMatrix(pixels: Uint32Array, width: number, height: number, view: View, painting: Painting): void {
  const { values, offset, n, maximum, colours, signed, spread: kind } = painting;
  const columns = bounds(view.x, view.size, width, n);
  const rows = bounds(view.y, view.size, height, n);
  const { above, below } = tablesOf(colours, signed, kind);
  const scale = maximum > 0 ? TABLE / maximum : 0;
  let painted = -1;
  for (let y = 0; y < height; y++) {
    const begin = rows[2 * y] as number;
    const end = rows[2 * y + 1] as number;
    const line = y * width;
    if (painted >= 0 && begin === rows[2 * painted] && end === rows[2 * painted + 1]) {
      pixels.copyWithin(line, painted * width, (painted + 1) * width);
      continue;
    }
    painted = y;
    for (let x = 0; x < width; x++) {
      const left = columns[2 * x] as number;
      const right = columns[2 * x + 1] as number;
      if (left >= end) {
        pixels[line + x] = 0;
        continue;
      }
      let peak = 0;
      let size = 0;
      for (let row = Math.max(begin, left); row < end; row++) {
        const base = offset + row * n;
        const last = Math.min(right, row + 1);
        for (let column = left; column < last; column++) {
          const value = values[base + column] as number;
          const magnitude = value < 0 ? -value : value;
          if (magnitude > size) {
            size = magnitude;
            peak = value;
          }
        }
      }
      const entry = Math.min(TABLE, (size * scale + 0.5) | 0);
      pixels[line + x] = (peak < 0 ? below : above)[entry] as number;
    }
  }
}

/** Entries of a colour table, less one: fine enough that the log spread has no steps down to its last decade. */
const TABLE = 65_535;
type Tables = { readonly above: Uint32Array; readonly below: Uint32Array };
const tables = new WeakMap<Uint32Array, Map<string, Tables>>();

/** Colours by magnitude, of positive and of negative values: a root or logarithm a pixel would take most of the time of painting. */
function tablesOf(colours: Uint32Array, signed: boolean, kind: Spread): Tables {
  const known = tables.get(colours) ?? new Map<string, Tables>();
  tables.set(colours, known);
  const key = `${kind} ${signed}`;
  const held = known.get(key);
  if (held) return held;
  const top = colours.length - 1;
  const make = (sign: 1 | -1): Uint32Array =>
    Uint32Array.from({ length: TABLE + 1 }, (_, entry) => {
      const place = spread(entry / TABLE, kind);
      return colours[Math.round((signed ? (sign * place + 1) / 2 : place) * top)] as number;
    });
  const above = make(1);
  const made = { above, below: signed ? make(-1) : above };
  known.set(key, made);
  return made;
}

/** First and one-past-last cell of each pixel. Every cell in view belongs to a pixel. */
function bounds(start: number, size: number, pixels: number, n: number): Int32Array {
  const out = new Int32Array(2 * pixels);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const begin = Math.min(n - 1, Math.floor(start + (pixel * size) / pixels));
    const end = Math.min(n, Math.floor(start + ((pixel + 1) * size) / pixels));
    out[2 * pixel] = begin;
    out[2 * pixel + 1] = Math.max(begin + 1, end);
  }
  return out;
}

/** The greatest magnitude of one matrix on and below its diagonal. */
export function greatestMagnitude(values: Float32Array, offset: number, n: number): number {
  let most = 0;
  for (let row = 0; row < n; row++) {
    const base = offset + row * n;
    for (let column = 0; column <= row; column++) {
      const magnitude = Math.abs(values[base + column] as number);
      if (magnitude > most) most = magnitude;
    }
  }
  return most;
}

/** A matrix whose rows' magnitudes sum to 1, as those of attention do; a row of zeros stays. */
export function normaliseRows(values: Float32Array, offset: number, n: number): Float32Array {
  const out = new Float32Array(n * n);
  for (let row = 0; row < n; row++) {
    let sum = 0;
    for (let column = 0; column <= row; column++) sum += Math.abs(values[offset + row * n + column] as number);
    if (sum === 0) continue;
    for (let column = 0; column <= row; column++) out[row * n + column] = (values[offset + row * n + column] as number) / sum;
  }
  return out;
}
