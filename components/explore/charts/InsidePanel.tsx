"use client";

import { useDeferredValue, useMemo, useState } from "react";
import { Button } from "@/components/ui/Button";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { useThemeName } from "@/components/ui/chart-hooks";
import { Segmented } from "@/components/ui/Field";
import { formatNumber } from "@/components/ui/format";
import { Heatmap } from "@/components/ui/Heatmap";
import { divergingScale, packColours, sequentialScale, type Spread } from "@/components/ui/heatmap-colours";
import { palettes } from "@/components/ui/heatmap-palette";
import { greatestMagnitude, normaliseRows } from "@/components/ui/heatmap-paint";
import { type Cell, clampView, type View, wholeView, zoomView } from "@/components/ui/heatmap-view";
import { visibleToken } from "@/components/ui/HeatmapAxes";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { LayerInside } from "@/lib/inference/probe/types";
import { HeadPicker, type HeadTile } from "./HeadPicker";
import { cellIndex, cellTable, describeCell, formatWeight, headTable, summarise } from "./inside-data";
import type { InsidePanelProps } from "./props";
import { TimeChart } from "./TimeChart";

/** A layer from within: each head's attention beside the matrix that its Mamba-2 mixer is on this text. */
export function InsidePanel({ inside, head, onHead, pieces, loading, error, name = "layer" }: InsidePanelProps) {
  const look = useLook();
  if (error) return <Notice tone="bad" message={error.message} action={error.action ?? "Choose the layer again."} />;
  if (!inside) {
    return (
      <div className="grid min-h-40 content-center gap-3 rounded-xl border border-dashed border-line-strong px-6 py-8 text-center text-xs text-ink-2">
        {loading ? "Computing both matrices of every head." : "Choose a layer with a Mamba-2 mixer to look inside."}
        {loading && (
          <div className="mx-auto w-48">
            <ProgressBar label="Computing the layer's matrices" done={0} total={0} />
          </div>
        )}
      </div>
    );
  }
  return (
    <div aria-busy={loading} className={loading ? "opacity-60" : ""}>
      <Inside inside={inside} head={Math.min(head, inside.heads - 1)} onHead={onHead} pieces={pieces} name={name} look={look} />
    </div>
  );
}

function useScales(spread: Spread) {
  const theme = useThemeName();
  return useMemo(() => {
    const attention = sequentialScale(palettes[theme]);
    const mamba = divergingScale(palettes[theme]);
    return { attention, mamba, attentionPixels: packColours(attention), mambaPixels: packColours(mamba), spread };
  }, [theme, spread]);
}

function useTiles(inside: LayerInside, scales: ReturnType<typeof useScales>): HeadTile[] {
  const maxima = useMemo(() => {
    const { heads, tokens: n } = inside;
    return Array.from({ length: heads }, (_, head) => ({
      attention: greatestMagnitude(inside.attention, head * n * n, n),
      mamba: greatestMagnitude(inside.mamba, head * n * n, n),
    }));
  }, [inside]);
  return useMemo(
    () =>
      maxima.map((maximum, head) => {
        const shared = { offset: head * inside.tokens ** 2, n: inside.tokens, spread: scales.spread };
        return {
          attention: { ...shared, values: inside.attention, maximum: maximum.attention, colours: scales.attentionPixels, signed: false },
          mamba: { ...shared, values: inside.mamba, maximum: maximum.mamba, colours: scales.mambaPixels, signed: true },
          relativeError: inside.relativeError[head] ?? Number.NaN,
          cosine: inside.cosine[head] ?? Number.NaN,
        };
      }),
    [inside, maxima, scales],
  );
}

const sameCell = (one: Cell | null, two: Cell | null): boolean => one?.row === two?.row && one?.column === two?.column;

/** How the maps are drawn: kept while another layer is computed. */
function useLook() {
  const [spread, setSpread] = useState<Spread>("sqrt");
  const [rows, setRows] = useState<"computed" | "normalised">("computed");
  return { spread, setSpread, rows, setRows };
}

type InsideProps = Pick<InsidePanelProps, "head" | "onHead" | "pieces"> & { inside: LayerInside; name: string; look: ReturnType<typeof useLook> };

function Inside({ inside, head, onHead, pieces, name, look: { spread, setSpread, rows, setRows } }: InsideProps) {
  const { tokens: n, layer } = inside;
  const [held, setView] = useState<View>(() => wholeView(n));
  const [pointed, setCursor] = useState<Cell | null>(null);
  const [shownTokens, setShownTokens] = useState(n);
  if (shownTokens !== n) {
    // Another text: the old view and cell mean nothing in it.
    setShownTokens(n);
    setView(wholeView(n));
    setCursor(null);
  }
  const view = useMemo(() => clampView(held, n), [held, n]);
  const cursor = pointed && pointed.row < n && pointed.column < n ? pointed : null;
  const scales = useScales(spread);
  const tiles = useTiles(inside, scales);
  const mamba = useMemo(() => {
    const offset = head * n * n;
    if (rows === "computed") return { values: inside.mamba, offset };
    return { values: normaliseRows(inside.mamba, offset, n), offset: 0 };
  }, [inside, head, n, rows]);
  const mambaMaximum = useMemo(() => greatestMagnitude(mamba.values, mamba.offset, n), [mamba, n]);
  const summaries = useMemo(() => ({ attention: summarise(inside, pieces, "attention", head), mamba: summarise(inside, pieces, "mamba", head) }), [inside, pieces, head]);
  const table = useMemo(() => headTable(inside), [inside]);

  const shared = {
    n,
    spread,
    tokens: pieces,
    view,
    onView: setView,
    cursor,
    onCursor: (cell: Cell | null) => setCursor((last) => (sameCell(last, cell) ? last : cell)),
    describe: (cell: Cell) => describeCell(inside, pieces, head, cell),
  };
  const exported = { table, csv: () => cellTable(inside, pieces, head) };
  const named = useMemo(() => [name, `layer ${layer}`], [name, layer]);
  const mark = useDeferredValue(cursor?.row ?? null); // the charts may lag behind the pointer, the maps may not
  const zoom = (factor: number) => () => setView((now) => zoomView(now, factor, { x: now.x + now.size / 2, y: now.y + now.size / 2 }, n));
  const tile = tiles[head];

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      <HeadPicker tiles={tiles} head={head} onHead={onHead} />
      <div className="flex flex-wrap items-end gap-3">
        <Segmented label="Colour scale" value={spread} onChange={setSpread} options={[{ value: "linear", label: "Linear" }, { value: "sqrt", label: "Root" }, { value: "log", label: "Log" }]} />
        <Segmented label="Mamba-2 rows" value={rows} onChange={setRows} options={[{ value: "computed", label: "As computed" }, { value: "normalised", label: "Sum to 1" }]} />
        <div role="group" aria-label="Zoom of both maps" className="flex gap-1">
          <Button look="secondary" aria-label="Zoom out" onClick={zoom(1 / 1.6)} disabled={view.size >= n}>
            −
          </Button>
          <Button look="secondary" aria-label="Zoom in" onClick={zoom(1.6)} disabled={view.size <= 6}>
            +
          </Button>
          <Button look="secondary" onClick={() => setView(wholeView(n))} disabled={view.size >= n}>
            Whole
          </Button>
        </div>
        <p className="text-2xs text-ink-3">Click a map, then scroll to zoom and drag to move; both maps move together.</p>
      </div>
      <CellReadout inside={inside} pieces={pieces} head={head} cell={cursor} />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-2">
        <ChartFrame
          {...exported}
          title={`Attention, head ${head}`}
          unit="weight; rows sum to 1"
          description="How much of each source token the teacher's attention reads at each target token."
          name={named}
        >
          <Heatmap {...shared} label={`Attention map of layer ${layer}, head ${head}`} values={inside.attention} offset={head * n * n} maximum={tile?.attention.maximum ?? 1} unit="" colours={scales.attention} signed={false} summary={summaries.attention} />
        </ChartFrame>
        <ChartFrame
          {...exported}
          title={`Mamba-2 matrix, head ${head}`}
          unit={rows === "computed" ? "L∘(CBᵀ)·dt, signed" : "L∘(CBᵀ)·dt, each row over its sum of magnitudes"}
          description={`The same reading by the Mamba-2 mixer of set ${inside.set}, written as a matrix: copper adds a source, violet subtracts it.`}
          name={[...named, ...(rows === "normalised" ? ["rows normalised"] : [])]}
        >
          <Heatmap {...shared} label={`Mamba-2 matrix of layer ${layer}, head ${head}`} values={mamba.values} offset={mamba.offset} maximum={mambaMaximum} unit="" colours={scales.mamba} signed summary={`${summaries.mamba} Relative error to attention ${formatNumber(tile?.relativeError ?? Number.NaN)}, cosine ${formatNumber(tile?.cosine ?? Number.NaN)}.`} />
        </ChartFrame>
        <TimeChart
          title="Decay"
          unit="exp(dt·A), share of the state kept"
          description="What each head keeps of its state at each token: near 1 it remembers, near 0 it starts afresh."
          {...{ name: named, inside, pieces, head }}
          values={inside.decay}
          domain={[0, 1]}
          mark={mark}
        />
        <TimeChart
          title="State norm"
          unit="Frobenius norm"
          description="How much each head's state holds after each token; a curve that climbs without end forgets nothing."
          {...{ name: named, inside, pieces, head }}
          values={inside.stateNorm}
          mark={mark}
        />
      </div>
    </div>
  );
}

/** The cell under the cursor, in both matrices; keeps its height while there is none. */
function CellReadout({ inside, pieces, head, cell }: { inside: LayerInside; pieces: readonly string[]; head: number; cell: Cell | null }) {
  if (!cell) return <p className="min-h-9 rounded-md bg-sunken px-3 py-2 text-xs text-ink-2">Point at a cell, or move over the cells by arrow keys, to read its two tokens and both weights.</p>;
  const index = cellIndex(inside, head, cell);
  return (
    <p aria-hidden className="tabular flex min-h-9 flex-wrap items-baseline gap-x-4 gap-y-0.5 rounded-md bg-sunken px-3 py-2 text-xs text-ink-2">
      <TokenName role="target" piece={pieces[cell.row] ?? ""} index={cell.row} />
      <TokenName role="source" piece={pieces[cell.column] ?? ""} index={cell.column} />
      <span>
        attention <b className="font-medium text-ink">{formatWeight(inside.attention[index] ?? 0)}</b>
      </span>
      <span>
        Mamba-2 <b className="font-medium text-ink">{formatWeight(inside.mamba[index] ?? 0)}</b>
      </span>
    </p>
  );
}

function TokenName({ role, piece, index }: { role: string; piece: string; index: number }) {
  return (
    <span className="min-w-0">
      {role} <span className="rounded bg-surface px-1 font-mono text-ink">{visibleToken(piece)}</span> <span className="text-ink-3">{index}</span>
    </span>
  );
}
