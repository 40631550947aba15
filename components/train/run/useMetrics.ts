"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { startTransition, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { MetricsAnswer, TrainingEvent } from "@/lib/training/types";
import { useEvent, type RunRef } from "../events";
import { keys } from "../keys";
import { seriesOf, type Curve, type MetricsRow, type SeriesKey } from "../metrics";
import { metricsOptions } from "../queries";
import type { Range } from "../series";

/** Entries a series that the server is asked for: about what a chart has pixels. */
const POINTS = 800;
const LAYER_POINTS = 400;
/** New lines are taken up at most so often, milliseconds: charts are drawn anew for each. */
const PACE = 700;
/** Lines received since the last reading after which the server thins anew. */
const MOST_FRESH = 2000;

export type Metrics = {
  readonly series: ReadonlyMap<SeriesKey, Curve>;
  readonly layers: ReadonlyMap<SeriesKey, Curve>;
  readonly answer: MetricsAnswer | undefined;
  readonly pending: boolean;
  readonly error: Error | null;
  readonly refetch: () => void;
};

/** The measures of a run: read once as a whole, finer where zoomed into (`steps`), and followed live. */
export function useMetrics(run: RunRef, steps: Range | null, every: number | null): Metrics {
  const queries = useQueryClient();
  const whole = useQuery(metricsOptions(run, { points: POINTS }));
  const hasLayers = [...(whole.data?.measures.train ?? []), ...(whole.data?.measures.eval ?? [])].some((name) => name.startsWith("align."));
  const layers = useQuery({ ...metricsOptions(run, { measures: "align.*", points: LAYER_POINTS }), enabled: hasLayers });
  const thinned = (whole.data?.rows ?? 0) > POINTS;
  const detail = useQuery({ ...metricsOptions(run, { ...(steps && { from: steps[0], to: steps[1] }), points: POINTS }), enabled: steps !== null && thinned });
  const refetch = useCallback(() => void queries.invalidateQueries({ queryKey: keys.metrics(run.node, run.id) }), [queries, run.node, run.id]);
  const rows = useFreshRows(run, whole.data, whole.dataUpdatedAt, refetch);

  const series = useMemo(() => (whole.data ? seriesOf(whole.data, (steps && detail.data) ?? null, rows, every, "scalars") : noSeries), [whole.data, steps, detail.data, rows, every]);
  const layerSeries = useMemo(() => (layers.data ? seriesOf(layers.data, null, rows, every, "layers") : noSeries), [layers.data, rows, every]);
  return { series, layers: layerSeries, answer: whole.data, pending: whole.isPending, error: whole.error, refetch };
}

const none: readonly MetricsRow[] = [];
const noSeries: ReadonlyMap<SeriesKey, Curve> = new Map();

/** Lines of metrics.jsonl that came by events since the whole was read. */
function useFreshRows({ node, id }: RunRef, answer: MetricsAnswer | undefined, readAt: number, refetch: () => void): readonly MetricsRow[] {
  // Lines belong to the reading that they came after; those of an earlier one are in the next reading.
  const [fresh, setFresh] = useState<{ readAt: number; rows: readonly MetricsRow[] }>({ readAt, rows: none });
  const rows = fresh.readAt === readAt ? fresh.rows : none;
  const waiting = useRef<MetricsRow[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const known = useRef<{ generation: string | null; total: number; readAt: number }>({ generation: null, total: 0, readAt });

  useEffect(() => {
    known.current = { generation: answer?.generation ?? null, total: answer?.rows ?? 0, readAt };
    waiting.current = [];
  }, [answer, readAt]);

  const take = useCallback(() => {
    timer.current = undefined;
    const arrived = waiting.current;
    const at = known.current.readAt;
    waiting.current = [];
    startTransition(() => setFresh((old) => ({ readAt: at, rows: old.readAt === at ? [...old.rows, ...arrived] : arrived })));
  }, []);
  const listen = useCallback(
    (event: TrainingEvent) => {
      if (event.type !== "metrics" || event.node !== node || event.id !== id || known.current.generation === null) return;
      const { generation, reset, rows: arrived, total } = event;
      // Told of before, as when the whole was read between two events.
      if (!reset && generation === known.current.generation && total <= known.current.total) return;
      const missed = total - known.current.total;
      if (reset || generation !== known.current.generation || missed > arrived.length || waiting.current.length > MOST_FRESH) {
        refetch();
        return;
      }
      known.current.total = total;
      waiting.current.push(...arrived.slice(arrived.length - missed));
      timer.current ??= setTimeout(take, PACE);
    },
    [node, id, refetch, take],
  );
  useEvent(listen);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (rows.length > MOST_FRESH) refetch();
  }, [rows, refetch]);
  return rows;
}
