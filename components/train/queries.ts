"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { metricsAnswerSchema, nodesAnswerSchema, runDetailSchema, runsAnswerSchema, samplesAnswerSchema, trashAnswerSchema, type MetricsAnswer } from "@/lib/training/types";
import { ask, runPath, tell } from "./api";
import type { RunRef } from "./events";
import { keys } from "./keys";

export function useNodes() {
  return useQuery({ queryKey: keys.nodes, queryFn: ({ signal }) => ask("/api/training/nodes", nodesAnswerSchema, { signal }) });
}

export function useRuns() {
  return useQuery({ queryKey: keys.runs, queryFn: ({ signal }) => ask("/api/training/runs", runsAnswerSchema, { signal }) });
}

export function useTrash(enabled = true) {
  return useQuery({ queryKey: keys.trash, enabled, queryFn: ({ signal }) => ask("/api/training/trash", trashAnswerSchema, { signal }) });
}

export function useRun({ node, id }: RunRef) {
  return useQuery({ queryKey: keys.run(node, id), queryFn: ({ signal }) => ask(runPath(node, id), runDetailSchema, { signal }) });
}

export function useSamples({ node, id }: RunRef) {
  return useQuery({ queryKey: keys.samples(node, id), queryFn: ({ signal }) => ask(runPath(node, id, "samples"), samplesAnswerSchema, { signal }) });
}

/** A query for metrics: `measures` as the route takes them, steps `from` to `to`, and about how many points. */
export type MetricsAsk = { readonly measures?: string; readonly from?: number; readonly to?: number; readonly points: number };

export function metricsOptions({ node, id }: RunRef, { measures, from, to, points }: MetricsAsk) {
  const query = new URLSearchParams({ points: String(points) });
  if (measures !== undefined) query.set("measures", measures);
  if (from !== undefined) query.set("from", String(from));
  if (to !== undefined) query.set("to", String(to));
  return {
    queryKey: keys.metrics(node, id, measures ?? null, from ?? null, to ?? null, points),
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<MetricsAnswer> => ask(`${runPath(node, id, "metrics")}?${query.toString()}`, metricsAnswerSchema, { signal }),
    staleTime: 60_000,
    // Of a long file that the server is still reading, the answer is coarse.
    refetchInterval: ({ state }: { state: { data?: MetricsAnswer | undefined } }) => (state.data?.loading ? 700 : false),
  };
}

type Change = { readonly path: string; readonly method: "POST" | "PATCH" | "DELETE"; readonly json?: unknown };

/** Asks the server to do something, then reads again what it may have changed. */
export function useChange() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ path, ...body }: Change) => tell(path, body),
    onSettled: () =>
      Promise.all([keys.runs, keys.nodes, keys.trash].map((queryKey) => queries.invalidateQueries({ queryKey })).concat(queries.invalidateQueries({ queryKey: ["training", "run"] }))),
  });
}
