"use client";

import { useId, useRef, useState, type ReactNode } from "react";
import { exportName, figureSvg, type Figure, type LegendItem, type Table, type TableCell, toCsv } from "./chart-export";
import { drawingOf, saveFile, svgToPng } from "./chart-export-dom";
import { formatNumber } from "./format";
import { Icon } from "./Icon";
import { Notice } from "./Notice";

/** Rows of the table beside a chart; the CSV has them all. */
const SHOWN_ROWS = 60;
const PNG_SCALE = 2;

type Drawing = Pick<Figure, "body" | "width" | "height">;

type ChartFrameProps = {
  title: string;
  /** Unit of what is drawn, such as `bytes against tokens of context`. */
  unit: string;
  /** What the chart shows, in a sentence. */
  description?: ReactNode;
  /** Parts of exported files' names. */
  name: readonly string[];
  /** The numbers that are drawn, for the table beside the chart. */
  table: Table;
  /** All numbers for the CSV, where they are more than a table can show. */
  csv?: () => Table;
  legend?: readonly LegendItem[];
  /** The drawing, where it is not the SVG within. */
  drawing?: () => Drawing | null;
  /** Controls beside the title. */
  controls?: ReactNode;
  /** Shown in the drawing's place while there is none. */
  empty?: ReactNode;
  /** `plain` has no card around it, and leaves its legend to what it stands in; exports have it. */
  look?: "card" | "plain";
  children?: ReactNode;
};

/** A chart with its title, unit, legend, numbers as a table, and export as PNG, SVG and CSV. */
export function ChartFrame({ title, unit, description, name, table, csv, legend = [], drawing, controls, empty, look = "card", children }: ChartFrameProps) {
  const heading = useId();
  const body = useRef<HTMLDivElement>(null);
  const [showsTable, setShowsTable] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const svg = (): string => {
    const element = body.current;
    const drawn = drawing ? drawing() : element && drawingOf(element);
    if (!drawn || !element) throw new Error("there is nothing drawn yet");
    const style = getComputedStyle(element);
    const token = (token: string): string => style.getPropertyValue(token).trim();
    const colours = { background: token("--surface"), ink: token("--ink"), quiet: token("--ink-2") };
    return figureSvg({ title, unit, ...drawn, colours, legend: legend.map((item) => ({ ...item, colour: resolveColour(item.colour, style) })) });
  };
  const save = async (extension: "png" | "svg" | "csv"): Promise<void> => {
    setProblem(null);
    try {
      const file = exportName([...name, title], extension);
      if (extension === "csv") saveFile(file, new Blob([toCsv(csv?.() ?? table)], { type: "text/csv;charset=utf-8" }));
      else if (extension === "svg") saveFile(file, new Blob([svg()], { type: "image/svg+xml" }));
      else saveFile(file, await svgToPng(svg(), PNG_SCALE));
    } catch (error) {
      setProblem(`The ${extension.toUpperCase()} could not be made: ${error instanceof Error ? error.message : String(error)}.`);
    }
  };

  return (
    <figure aria-labelledby={heading} className={`m-0 grid min-w-0 grid-cols-[minmax(0,1fr)] content-start gap-3 ${look === "card" ? "rounded-xl border border-line bg-surface p-4 sm:p-5" : ""}`}>
      <div className="flex items-start gap-x-3 gap-y-2">
        <div className="min-w-0 flex-1">
          <h3 id={heading} className="text-[13px] font-semibold tracking-tight">
            {title}
            <span className="block text-2xs font-normal tracking-normal text-ink-3 sm:ml-2 sm:inline">{unit}</span>
          </h3>
          {description && <p className="mt-0.5 max-w-[72ch] text-xs text-ink-2">{description}</p>}
        </div>
        {!empty && <ExportMenu title={title} pressed={showsTable} onTable={() => setShowsTable(!showsTable)} onSave={(extension) => void save(extension)} />}
      </div>
      {controls && <div className="flex flex-wrap items-end gap-3">{controls}</div>}
      {problem && <Notice tone="bad" message={problem} action="Try another format." />}
      {empty ? (
        <div className="grid min-h-32 place-items-center rounded-md border border-dashed border-line-strong px-4 py-6 text-center text-xs text-ink-2">{empty}</div>
      ) : (
        <>
          <div ref={body} className="min-w-0">
            {children}
          </div>
          {legend.length > 0 && look === "card" && <Legend items={legend} />}
          <NumbersTable title={title} table={table} visible={showsTable} />
        </>
      )}
    </figure>
  );
}

function resolveColour(colour: string, style: CSSStyleDeclaration): string {
  const variable = /^var\((--[\w-]+)\)$/.exec(colour)?.[1];
  return variable ? style.getPropertyValue(variable).trim() : colour;
}

type ExportMenuProps = { title: string; pressed: boolean; onTable: () => void; onSave: (extension: "png" | "svg" | "csv") => void };

function ExportMenu({ title, pressed, onTable, onSave }: ExportMenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <div className="-mt-1 -mr-1.5 flex shrink-0 items-center gap-0.5">
      <button
        type="button"
        aria-pressed={pressed}
        aria-label={`Numbers of ${title}`}
        title="Show the numbers"
        onClick={onTable}
        className="grid size-7 place-items-center rounded-md text-ink-3 hover:bg-sunken hover:text-ink aria-pressed:bg-sunken aria-pressed:text-ink"
      >
        <Icon name="columns" />
      </button>
      <details
        ref={menu}
        className="relative"
        onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && close()}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          close();
          menu.current?.querySelector("summary")?.focus();
        }}
      >
        <summary
          aria-label={`Export ${title}`}
          title="Export"
          className="grid size-7 list-none place-items-center rounded-md text-ink-3 hover:bg-sunken hover:text-ink [&::-webkit-details-marker]:hidden"
        >
          <Icon name="download" />
        </summary>
        <div className="absolute top-8 right-0 z-20 grid w-28 rounded-md border border-line bg-surface p-1 shadow-lg">
          {(["png", "svg", "csv"] as const).map((extension) => (
            <button
              key={extension}
              type="button"
              onClick={() => {
                close();
                onSave(extension);
              }}
              className="rounded px-2 py-1.5 text-left text-xs hover:bg-sunken"
            >
              {extension === "png" ? "PNG image" : extension === "svg" ? "SVG drawing" : "CSV table"}
            </button>
          ))}
        </div>
      </details>
    </div>
  );
}

function Legend({ items }: { items: readonly LegendItem[] }) {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-2xs text-ink-2">
      {items.map(({ label, colour, mark = "square" }) => (
        <li key={label} className="inline-flex items-center gap-1.5">
          {mark === "square" || mark === "dot" ? (
            <span aria-hidden className={`size-2 ${mark === "dot" ? "rounded-full" : "rounded-[2px]"}`} style={{ background: colour }} />
          ) : (
            <span aria-hidden className={`w-4 border-t-2 ${mark === "dash" ? "border-dashed" : ""}`} style={{ borderColor: colour }} />
          )}
          {label}
        </li>
      ))}
    </ul>
  );
}

/** The chart's numbers: for everyone when asked for, for screen readers always. */
function NumbersTable({ title, table, visible }: { title: string; table: Table; visible: boolean }) {
  const rows = table.rows.slice(0, SHOWN_ROWS);
  const cell = (value: TableCell): string => (value === null ? "–" : typeof value === "number" ? formatCell(value) : value);
  return (
    <div className={visible ? "max-h-80 overflow-auto rounded-md border border-line" : "sr-only"} tabIndex={visible ? 0 : undefined} role={visible ? "region" : undefined} aria-label={visible ? `Numbers of ${title}` : undefined}>
      <table className="w-full text-2xs">
        <caption className="sr-only">
          {title}
          {table.rows.length > rows.length ? `, the first ${rows.length} of ${table.rows.length} rows; the CSV has all` : ""}
        </caption>
        <thead className="sticky top-0 bg-sunken text-left text-ink-2">
          <tr>
            {table.columns.map((column) => (
              <th key={column} scope="col" className="px-3 py-1.5 font-medium whitespace-nowrap">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index} className="border-t border-line">
              {row.map((value, column) => (
                <td key={column} className="px-3 py-1 whitespace-nowrap">
                  {cell(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {visible && table.rows.length > rows.length && <p className="border-t border-line px-3 py-2 text-2xs text-ink-3">The first {rows.length} of {table.rows.length} rows. The CSV has all.</p>}
    </div>
  );
}

const formatCell = (value: number): string => (value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(2) : formatNumber(value));
