import { formatNumber } from "./format";
import { axisTicks, type View } from "./heatmap-view";

/** Space for axes and legend around the plot, CSS pixels. */
export const MARGINS = { left: 56, top: 4, right: 4, bottom: 92 } as const;
/** Cells at least this large, in pixels, are labelled by their token; smaller ones by their index. */
const TOKEN_CELL = 13;
const TOKEN_LETTERS = 6;

type HeatmapAxesProps = {
  /** Side of the plot, CSS pixels. */
  plot: number;
  view: View;
  n: number;
  tokens: readonly string[];
  legend: { colours: readonly string[]; signed: boolean; unit: string; valueAt: (place: number) => number };
};

/** Axes and legend of a heatmap as vectors, around the plot; also what an exported drawing has. */
export function HeatmapAxes({ plot, view, n, tokens, legend }: HeatmapAxesProps) {
  const cell = plot / view.size;
  const named = cell >= TOKEN_CELL;
  const rows = axisTicks(view.y, view.size, plot, named ? TOKEN_CELL : 24, n);
  const columns = axisTicks(view.x, view.size, plot, named ? TOKEN_CELL : 36, n);
  const text = (index: number): string => (named ? shortToken(tokens[index] ?? "") : String(index));
  const { left, top } = MARGINS;
  const bottom = top + plot;
  return (
    <svg data-figure aria-hidden width={plot + left + MARGINS.right} height={bottom + MARGINS.bottom} className="pointer-events-none absolute inset-0 overflow-visible text-ink-2" fill="currentColor" fontSize={10}>
      <rect x={left - 0.5} y={top - 0.5} width={plot + 1} height={plot + 1} fill="none" className="stroke-line-strong" />
      {rows.map((row) => {
        const y = top + (row + 0.5 - view.y) * cell;
        return (
          <text key={row} x={left - 6} y={y + 3.5} textAnchor="end" className={named ? "font-mono" : "tabular"}>
            {text(row)}
          </text>
        );
      })}
      {columns.map((column) => {
        const x = left + (column + 0.5 - view.x) * cell;
        return named ? (
          <text key={column} transform={`translate(${x + 3.5} ${bottom + 6}) rotate(-90)`} textAnchor="end" className="font-mono">
            {text(column)}
          </text>
        ) : (
          <text key={column} x={x} y={bottom + 14} textAnchor="middle" className="tabular">
            {text(column)}
          </text>
        );
      })}
      <text transform={`translate(9 ${top + plot / 2}) rotate(-90)`} textAnchor="middle" className="fill-ink-3">
        target token, reads
      </text>
      <text x={left + plot / 2} y={bottom + (named ? 56 : 32)} textAnchor="middle" className="fill-ink-3">
        source token, is read
      </text>
      <ColourLegend x={left} y={bottom + 66} width={plot} {...legend} />
    </svg>
  );
}

type ColourLegendProps = HeatmapAxesProps["legend"] & { x: number; y: number; width: number };

/** The colours of a map with the values that they stand for, inside an SVG. */
export function ColourLegend({ x, y, width, colours, signed, unit, valueAt }: ColourLegendProps) {
  const bars = 64;
  const step = width / bars;
  const places = signed ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  const value = (place: number): number => (place === 0 && signed ? 0 : Math.sign(place || 1) * valueAt(Math.abs(place)));
  return (
    <g transform={`translate(${x} ${y})`}>
      {Array.from({ length: bars }, (_, bar) => (
        <rect key={bar} x={bar * step} width={step + 0.5} height={8} style={{ fill: colours[Math.round((bar / (bars - 1)) * (colours.length - 1))] }} />
      ))}
      <rect width={width} height={8} fill="none" className="stroke-line-strong" />
      {places.map((place) => {
        const at = signed ? ((place + 1) / 2) * width : place * width;
        const anchor = at === 0 ? "start" : at === width ? "end" : "middle";
        return (
          <text key={place} x={at} y={20} textAnchor={anchor} className="tabular">
            {formatLegend(value(place))}
            {at === width && unit !== "" ? ` ${unit}` : ""}
          </text>
        );
      })}
    </g>
  );
}

const formatLegend = (value: number): string => (value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(0) : formatNumber(value)).replace("-", "−");

/** A token as a label: spaces and line ends made visible. */
export function visibleToken(piece: string): string {
  if (piece === "") return "∅";
  return piece.replaceAll(" ", "·").replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍");
}

function shortToken(piece: string): string {
  const letters = [...visibleToken(piece)];
  return letters.length > TOKEN_LETTERS ? `${letters.slice(0, TOKEN_LETTERS - 1).join("")}…` : letters.join("");
}
