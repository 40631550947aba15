/** The part of a square matrix that a heatmap shows, and how zooming and panning move it. Units are cells; y points down. */

/** Top left corner and side of the visible square. */
export type View = { readonly x: number; readonly y: number; readonly size: number };
export type Cell = { readonly row: number; readonly column: number };

/** The fewest cells a side that zooming in leaves. */
const LEAST = 6;

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The whole of an n x n matrix. */
export function wholeView(n: number): View {
  return { x: 0, y: 0, size: n };
}

/** The nearest view that lies within an n x n matrix. */
export function clampView({ x, y, size }: View, n: number): View {
  const side = clamp(size, Math.min(LEAST, n), n);
  return { x: clamp(x, 0, n - side), y: clamp(y, 0, n - side), size: side };
}

/** Zooms in by `factor` (out below 1) and keeps the point `at` of the matrix where it is, as far as the edges allow. */
export function zoomView(view: View, factor: number, at: { x: number; y: number }, n: number): View {
  const size = clamp(view.size / factor, Math.min(LEAST, n), n);
  const share = size / view.size;
  return clampView({ x: at.x - (at.x - view.x) * share, y: at.y - (at.y - view.y) * share, size }, n);
}

/** Moves the view by so many cells. */
export function panView(view: View, dx: number, dy: number, n: number): View {
  return clampView({ ...view, x: view.x + dx, y: view.y + dy }, n);
}

/** The least move that brings a cell into sight. */
export function revealCell(view: View, { row, column }: Cell, n: number): View {
  const x = clamp(view.x, column + 1 - view.size, column);
  const y = clamp(view.y, row + 1 - view.size, row);
  return x === view.x && y === view.y ? view : clampView({ ...view, x, y }, n);
}

/** The point of the matrix at (u, v), shares of the plot's width and height. */
export function pointAt(view: View, u: number, v: number): { x: number; y: number } {
  return { x: view.x + u * view.size, y: view.y + v * view.size };
}

/** The cell at (u, v), shares of the plot's width and height; always one of the matrix. */
export function cellAt(view: View, u: number, v: number, n: number): Cell {
  const { x, y } = pointAt(view, u, v);
  return { row: clamp(Math.floor(y), 0, n - 1), column: clamp(Math.floor(x), 0, n - 1) };
}

/** Indices to label on an axis from `start` over `size` cells and `pixels`, at least `gap` pixels apart: every 1st, 2nd, 5th, 10th, … cell. */
export function axisTicks(start: number, size: number, pixels: number, gap: number, n: number): number[] {
  const least = (gap * size) / pixels;
  let step = 1;
  for (let index = 0; step < least; index += 1) step = (index % 3 === 0 ? 1 : index % 3 === 1 ? 2 : 5) * 10 ** Math.floor(index / 3);
  const ticks: number[] = [];
  for (let tick = Math.max(0, Math.ceil((start - 0.5) / step) * step); tick + 0.5 <= start + size && tick < n; tick += step) ticks.push(tick);
  return ticks;
}
