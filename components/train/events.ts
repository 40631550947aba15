"use client";

import type { QueryClient } from "@tanstack/react-query";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { create } from "zustand";
import type { z } from "zod";
import { nodesAnswerSchema, runsAnswerSchema, trainingEventSchema, type RunDetail, type TrainingEvent } from "@/lib/training/types";
import { keys } from "./keys";

type Listener = (event: TrainingEvent) => void;
export type RunRef = { readonly node: string; readonly id: string };

const listeners = new Set<Listener>();
let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let users = 0;
let filter = "";
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
let wait = FIRST_WAIT;

/** Whether the server is heard. `waiting`: the connection is being made again. */
export const useConnection = create<{ state: "closed" | "open" | "waiting" }>(() => ({ state: "closed" }));

function open(): void {
  close();
  const stream = new EventSource(`/api/training/events${filter}`);
  source = stream;
  stream.onopen = () => {
    wait = FIRST_WAIT;
    useConnection.setState({ state: "open" });
  };
  stream.onmessage = ({ data }: MessageEvent<string>) => {
    const event = parse(data);
    if (event) for (const listener of listeners) listener(event);
  };
  stream.onerror = () => {
    useConnection.setState({ state: "waiting" });
    // The browser itself connects again, with the last event's id, unless it was refused.
    if (stream.readyState !== EventSource.CLOSED) return;
    retry = setTimeout(open, wait);
    wait = Math.min(LONGEST_WAIT, 2 * wait);
  };
}

function close(): void {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function parse(data: string): TrainingEvent | null {
  try {
    const event = trainingEventSchema.safeParse(JSON.parse(data));
    return event.success ? event.data : null;
  } catch {
    return null;
  }
}

/** Writes what events tell into what was read before, and reads again what they say was missed. */
function keep(queries: QueryClient, event: TrainingEvent): void {
  switch (event.type) {
    case "hello":
      if (!event.resumed) void queries.invalidateQueries({ queryKey: keys.all });
      return;
    case "node":
      queries.setQueryData<z.infer<typeof nodesAnswerSchema>>(keys.nodes, (old) => {
        if (!old) return old;
        const known = old.nodes.some(({ id }) => id === event.node.id);
        return { nodes: known ? old.nodes.map((node) => (node.id === event.node.id ? event.node : node)) : [...old.nodes, event.node] };
      });
      return;
    case "node-removed":
      queries.setQueryData<z.infer<typeof nodesAnswerSchema>>(keys.nodes, (old) => old && { nodes: old.nodes.filter(({ id }) => id !== event.id) });
      return;
    case "run": {
      const { run } = event;
      const same = (other: RunRef): boolean => other.node === run.node && other.id === run.id;
      const before = queries.getQueryData<RunDetail>(keys.run(run.node, run.id));
      queries.setQueryData<z.infer<typeof runsAnswerSchema>>(keys.runs, (old) => old && { runs: old.runs.some(same) ? old.runs.map((other) => (same(other) ? { ...other, ...run } : other)) : [run, ...old.runs] });
      queries.setQueryData<RunDetail>(keys.run(run.node, run.id), (old) => old && { ...old, ...run });
      // Files, evaluation and links come with a change of state or phase.
      if (before && (before.state !== run.state || before.phase !== run.phase || before.exported?.variant !== run.exported?.variant)) void queries.invalidateQueries({ queryKey: keys.run(run.node, run.id) });
      return;
    }
    case "run-removed":
      queries.setQueryData<z.infer<typeof runsAnswerSchema>>(keys.runs, (old) => old && { runs: old.runs.filter(({ node, id }) => node !== event.node || id !== event.id) });
      void queries.invalidateQueries({ queryKey: keys.trash });
      return;
    case "launch": {
      const launch = event.progress;
      queries.setQueryData<z.infer<typeof runsAnswerSchema>>(keys.runs, (old) => old && { runs: old.runs.map((run) => (run.node === event.node && run.id === event.id ? { ...run, launch } : run)) });
      queries.setQueryData<RunDetail>(keys.run(event.node, event.id), (old) => old && { ...old, launch });
      return;
    }
    default:
  }
}

/** Follows the server's events while a page shows; with `run`, that run's metrics, log and samples too. One stream a tab. */
export function useTrainingEvents(run?: RunRef): void {
  const queries = useQueryClient();
  const query = run ? `?${new URLSearchParams({ node: run.node, run: run.id }).toString()}` : "";
  useEffect(() => {
    const listener: Listener = (event) => keep(queries, event);
    listeners.add(listener);
    users += 1;
    if (!source || filter !== query) {
      filter = query;
      open();
    }
    return () => {
      listeners.delete(listener);
      users -= 1;
      if (users === 0) {
        close();
        useConnection.setState({ state: "closed" });
      }
    };
  }, [queries, query]);
}

/** Hears every event while it is mounted; `listener` must be stable. */
export function useEvent(listener: Listener): void {
  useEffect(() => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [listener]);
}
