"use client";

import { usePathname, useSearchParams } from "next/navigation";
import { useCallback, useMemo } from "react";
import { readView, writeView } from "./link";
import type { ChartView } from "./charts/view";

/** Changes the address in place, without a visit to the server; the pages read their state from it. */
export function useAddress(): { query: URLSearchParams; change: (edit: (query: URLSearchParams) => void) => void } {
  const search = useSearchParams().toString();
  const path = usePathname();
  const query = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback(
    (edit: (query: URLSearchParams) => void) => {
      const next = new URLSearchParams(window.location.search);
      edit(next);
      // Colons and commas need no escape in an address, and runs are to be read there.
      const text = next.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
      window.history.replaceState(null, "", text ? `${path}?${text}` : path);
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
