"use client";

import { useSearchParams } from "next/navigation";
import { useEffect, useRef } from "react";
import { addressWriter } from "@/components/ui/address-writer";
import { decodeView, encodeView } from "./link";
import { applyView, restoreSettings, type Settings, useSettings, viewOf } from "./settings";

/** Keeps settings and address alike: the address is read when it was changed from outside, and written after each change. */
export function useLink(): void {
  const search = useSearchParams().toString();
  const written = useRef<string | null>(null);

  useEffect(() => {
    restoreSettings();
    if (search === written.current) return;
    const { view, problems } = decodeView(new URLSearchParams(search));
    written.current = search;
    if (search !== "") applyView(view, problems);
  }, [search]);

  useEffect(() => {
    const address = addressWriter(() => (written.current = write(useSettings.getState()) ?? written.current));
    const end = useSettings.subscribe((state, before) => {
      if (encodeView(viewOf(state)).query !== encodeView(viewOf(before)).query || state.problems !== before.problems) address.later();
    });
    return () => {
      address.end();
      end();
    };
  }, []);
}

/** Writes the address; not while a notice about a part of it waits to be read. */
function write(state: Settings): string | null {
  if (state.problems.length > 0 || window.location.pathname !== "/speculate") return null;
  const { query } = encodeView(viewOf(state));
  if (window.location.search !== `?${query}`) window.history.replaceState(null, "", `/speculate?${query}`);
  return new URLSearchParams(query).toString();
}

/** The address of the present view, and whether the prompt is in it. */
export function linkOf(state: Settings): { address: string; complete: boolean } {
  const { query, complete } = encodeView(viewOf(state));
  return { address: `${window.location.origin}/speculate?${query}`, complete };
}
