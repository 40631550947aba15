"use client";

import { usePathname, useSearchParams } from "next/navigation";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { readView, writeView } from "./link";
import type { ChartView } from "./charts/view";

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("popstate", listener);
  };
}

/**
 * The address as the pages' state: read at once after each change (the router tells of one only some frames later, too late for a field
 * that is typed into), and changed in place, without a visit to the server.
 */
export function useAddress(): { query: URLSearchParams; change: (edit: (query: URLSearchParams) => void) => void } {
  const told = useSearchParams().toString();
  const path = usePathname();
  const search = useSyncExternalStore(
    subscribe,
    () => window.location.search,
    () => (told ? `?${told}` : ""),
  );
  const query = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback(
    (edit: (query: URLSearchParams) => void) => {
      const next = new URLSearchParams(window.location.search);
      edit(next);
      // Colons and commas need no escape in an address, and runs are to be read there.
      const text = next.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
      window.history.replaceState(null, "", text ? `${path}?${text}` : path);
      for (const listener of listeners) listener();
    },
    [path],
  );
  return { query, change };
}

/** The charts' state, kept in the address. */
export function useChartView(): [ChartView, (change: Partial<ChartView>) => void] {
  const { query, change } = useAddress();
  const view = useMemo(() => readView(query), [query]);
  const onView = useCallback((part: Partial<ChartView>) => change((next) => writeView(next, { ...readView(next), ...part })), [change]);
  return [view, onView];
}
