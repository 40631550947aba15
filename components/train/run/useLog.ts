"use client";

import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { logAnswerSchema, type LogAnswer, type TrainingEvent } from "@/lib/training/types";
import { ask, runPath } from "../api";
import { useEvent, type RunRef } from "../events";
import { keys } from "../keys";

const TAIL = 65_536;
/** The most text that is held, in characters: what is older can be read in the downloaded run. */
const MOST = 2_000_000;

/** The end of a run's log, followed live; `earlier` reads more of what is before it. */
export function useLog(run: RunRef) {
  const { node, id } = run;
  const queries = useQueryClient();
  const [tail, setTail] = useState(TAIL);
  const log = useQuery({
    queryKey: [...keys.log(node, id), tail],
    queryFn: ({ signal }) => readAll(run, -tail, signal),
    placeholderData: keepPreviousData,
  });
  const listen = useCallback(
    (event: TrainingEvent) => {
      if (event.type !== "log" || event.node !== node || event.id !== id) return;
      let missed = false;
      queries.setQueriesData<LogAnswer>({ queryKey: keys.log(node, id) }, (old) => {
        if (!old || event.to <= old.to) return old;
        missed ||= event.from > old.to;
        if (event.from > old.to) return old;
        // Bytes and characters differ beyond ASCII: an overlap is read again rather than cut.
        missed ||= event.from < old.to;
        if (event.from < old.to) return old;
        return { ...old, to: event.to, size: Math.max(old.size, event.to), text: (old.text + event.text).slice(-MOST) };
      });
      if (missed) void queries.invalidateQueries({ queryKey: keys.log(node, id) });
    },
    [queries, node, id],
  );
  useEvent(listen);
  return { log, earlier: () => setTail((old) => 4 * old) };
}

/** From a place to the end, in as many answers as the server makes of it. */
async function readAll(run: RunRef, from: number, signal: AbortSignal): Promise<LogAnswer> {
  const read = (at: number) => ask(`${runPath(run.node, run.id, "log")}?from=${at}`, logAnswerSchema, { signal });
  let whole = await read(from);
  while (whole.to < whole.size && whole.text.length < MOST) {
    const more = await read(whole.to);
    if (more.to <= whole.to || more.generation !== whole.generation) break;
    whole = { ...more, from: whole.from, text: whole.text + more.text };
  }
  return whole;
}
