"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import type { NodeCheckStep, NodeStreamEvent } from "@/lib/training/types";
import { explain, follow, tell } from "../api";
import { keys } from "../keys";

export type NodeWork = {
  readonly kind: "check" | "prepare" | null;
  readonly steps: readonly NodeCheckStep[];
  readonly progress: Extract<NodeStreamEvent, { type: "progress" }> | null;
  readonly done: string | null;
  readonly error: { readonly message: string; readonly action: string } | null;
};

const idle: NodeWork = { kind: null, steps: [], progress: null, done: null, error: null };

/** A node's check and the preparation of its environment, as they go on. */
export function useNodeWork(node: string) {
  const queries = useQueryClient();
  const [work, setWork] = useState(idle);
  const leave = useRef<AbortController>(null);
  useEffect(() => () => leave.current?.abort(), []);

  const start = useCallback(
    async (kind: "check" | "prepare"): Promise<void> => {
      leave.current?.abort();
      const controller = new AbortController();
      leave.current = controller;
      setWork({ ...idle, kind });
      const hear = (event: NodeStreamEvent): void =>
        setWork((old) => {
          switch (event.type) {
            case "check":
              return { ...old, steps: old.steps.some(({ name }) => name === event.step.name) ? old.steps.map((step) => (step.name === event.step.name ? event.step : step)) : [...old.steps, event.step] };
            case "progress":
              return { ...old, progress: event };
            case "done":
              return { ...old, kind: null, progress: null, done: event.message };
            case "error":
              return { ...old, kind: null, progress: null, error: event.code === "cancelled" ? null : event };
          }
        });
      try {
        await follow(`/api/training/nodes/${encodeURIComponent(node)}/${kind}`, hear, controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) setWork((old) => ({ ...old, kind: null, error: explain(error as Error) }));
      }
      void queries.invalidateQueries({ queryKey: keys.nodes });
    },
    [node, queries],
  );
  const cancel = useCallback(() => {
    void tell(`/api/training/nodes/${encodeURIComponent(node)}/prepare`, { method: "DELETE" }).catch((error: unknown) => setWork((old) => ({ ...old, error: explain(error as Error) })));
  }, [node]);
  return { work, start, cancel };
}
