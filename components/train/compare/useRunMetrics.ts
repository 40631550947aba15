"use client";

import { useQueries } from "@tanstack/react-query";
import { useCallback, useEffect, useRef } from "react";
import { useQueryClient } from "@tanstack/react-query";
import type { MetricsAnswer, RunDetail, TrainingEvent } from "@/lib/training/types";
import { runDetailSchema } from "@/lib/training/types";
import { ask, runPath } from "../api";
import { useEvent } from "../events";
import { keys } from "../keys";
import type { RunName } from "../link";
import { metricsOptions } from "../queries";

const POINTS = 800;
/** Runs that go on are read again at most so often, milliseconds. */
const PACE = 4000;

export type ComparedRun = { readonly name: RunName; readonly run: RunDetail | undefined; readonly metrics: MetricsAnswer | undefined; readonly error: Error | null };

/** Details and measures of several runs; of those under way again and again. */
export function useComparedRuns(names: readonly RunName[]): ComparedRun[] {
  const queries = useQueryClient();
  const details = useQueries({ queries: names.map(({ node, id }) => ({ queryKey: keys.run(node, id), queryFn: ({ signal }: { signal: AbortSignal }) => ask(runPath(node, id), runDetailSchema, { signal }) })) });
  const metrics = useQueries({ queries: names.map((name) => metricsOptions(name, { points: POINTS })) });
  const waiting = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  const wanted = useRef(names);
  useEffect(() => {
    wanted.current = names;
  }, [names]);
  const listen = useCallback(
    (event: TrainingEvent) => {
      if (event.type !== "run") return;
      const { node, id } = event.run;
      const key = `${node}:${id}`;
      if (waiting.current.has(key) || !wanted.current.some((name) => name.node === node && name.id === id)) return;
      waiting.current.set(
        key,
        setTimeout(() => {
          waiting.current.delete(key);
          void queries.invalidateQueries({ queryKey: keys.metrics(node, id) });
        }, PACE),
      );
    },
    [queries],
  );
  useEvent(listen);
  useEffect(() => {
    const timers = waiting.current;
    return () => timers.forEach((timer) => clearTimeout(timer));
  }, []);
  return names.map((name, index) => ({ name, run: details[index]?.data, metrics: metrics[index]?.data, error: (details[index]?.data ? null : details[index]?.error) ?? (metrics[index]?.data ? null : metrics[index]?.error) ?? null }));
}
