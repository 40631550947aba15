/** Numbers that stand for a layer's matrices: summaries in words, tables and tooltips. */
import type { LayerInside } from "@/lib/inference/probe/types";
import type { Table } from "@/components/ui/chart-export";
import { formatNumber } from "@/components/ui/format";
import type { Cell } from "@/components/ui/heatmap-view";
import { visibleToken } from "@/components/ui/HeatmapAxes";

export type MatrixName = "attention" | "mamba";

/** Index of a cell of one head in the (H, T, T) arrays. */
export function cellIndex({ tokens }: LayerInside, head: number, { row, column }: Cell): number {
  return (head * tokens + row) * tokens + column;
}

/** A small number for reading, with two digits at least: scientific below a thousandth, with a true minus sign. */
export function formatWeight(value: number): string {
  const size = Math.abs(value);
  const text = size === 0 || size >= 0.01 ? formatNumber(value) : size < 0.001 ? value.toExponential(1) : value.toFixed(4);
  return text.replace("-", "−");
}

/** A token in quotes with its place in the text. */
export function nameToken(pieces: readonly string[], index: number): string {
  return `“${visibleToken(pieces[index] ?? "")}” (${index})`;
}

/** What a matrix looks like, in words: its largest cell and how much of its weight goes to the first token and to the token itself. */
export function summarise(inside: LayerInside, pieces: readonly string[], name: MatrixName, head: number): string {
  const { tokens: n } = inside;
  const values = inside[name];
  const base = head * n * n;
  let largest = 0;
  let at: Cell = { row: 0, column: 0 };
  let first = 0;
  let itself = 0;
  let total = 0;
  for (let row = 0; row < n; row++) {
    for (let column = 0; column <= row; column++) {
      const value = values[base + row * n + column] ?? 0;
      const size = Math.abs(value);
      total += size;
      if (column === 0) first += size;
      if (column === row) itself += size;
      if (size > Math.abs(largest)) {
        largest = value;
        at = { row, column };
      }
    }
  }
  const percent = (part: number): string => (total > 0 ? `${formatNumber((100 * part) / total)} %` : "none");
  const title = name === "attention" ? "Attention" : "Mamba-2 matrix";
  return (
    `${title}, head ${head}, ${n} by ${n} tokens. Largest weight ${formatWeight(largest)}, from target ${nameToken(pieces, at.row)} to source ${nameToken(pieces, at.column)}. ` +
    `${percent(first)} of all weight is on the first token and ${percent(itself)} on the target itself.`
  );
}

/** Both values of a cell in words. */
export function describeCell(inside: LayerInside, pieces: readonly string[], head: number, cell: Cell): string {
  const index = cellIndex(inside, head, cell);
  return (
    `Target ${nameToken(pieces, cell.row)}, source ${nameToken(pieces, cell.column)}: ` +
    `attention ${formatWeight(inside.attention[index] ?? 0)}, Mamba-2 ${formatWeight(inside.mamba[index] ?? 0)}.`
  );
}

/** How near each head's two matrices are. */
export function headTable(inside: LayerInside): Table {
  return {
    columns: ["head", "relative error", "cosine"],
    rows: Array.from({ length: inside.heads }, (_, head) => [head, inside.relativeError[head] ?? null, inside.cosine[head] ?? null]),
  };
}

/** Every cell of one head on and below the diagonal. */
export function cellTable(inside: LayerInside, pieces: readonly string[], head: number): Table {
  const rows: (string | number | null)[][] = [];
  for (let row = 0; row < inside.tokens; row++) {
    for (let column = 0; column <= row; column++) {
      const index = cellIndex(inside, head, { row, column });
      rows.push([row, pieces[row] ?? "", column, pieces[column] ?? "", inside.attention[index] ?? null, inside.mamba[index] ?? null]);
    }
  }
  return { columns: ["target", "target token", "source", "source token", "attention", "mamba2"], rows };
}

/** A quantity of every head along the text: one row a token. */
export function timeTable(inside: LayerInside, pieces: readonly string[], values: Float32Array): Table {
  const heads = Array.from({ length: inside.heads }, (_, head) => head);
  return {
    columns: ["position", "token", ...heads.map((head) => `head ${head}`)],
    rows: Array.from({ length: inside.tokens }, (_, token) => [token, pieces[token] ?? "", ...heads.map((head) => values[head * inside.tokens + token] ?? null)]),
  };
}
