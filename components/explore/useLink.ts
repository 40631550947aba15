"use client";

import { useSearchParams } from "next/navigation";
import { useEffect, useRef } from "react";
import { addressWriter } from "@/components/ui/address-writer";
import { decodeView, encodeView } from "./link";
import { applyView, restoreSession, useExplore, viewOf, type Session } from "./session";

/** Keeps session and address alike: the address is read when it was changed from outside, and written after each change of the session. */
export function useLink(): void {
  const search = useSearchParams().toString();
  const written = useRef<string | null>(null);

  useEffect(() => {
    restoreSession();
    if (search === written.current) return;
    const { view, problems } = decodeView(new URLSearchParams(search));
    written.current = search;
    if (search !== "") applyView(view, problems);
    else write(useExplore.getState());
  }, [search]);

  useEffect(() => {
    const address = addressWriter(() => (written.current = write(useExplore.getState()) ?? written.current));
    const stop = useExplore.subscribe(address.later);
    return () => {
      address.end();
      stop();
    };
  }, []);
}

/** Writes the address. Null while there is nothing to write, so that a link is never replaced before it was understood. */
function write(state: Session): string | null {
  const view = viewOf(state);
  // A link whose parts are not understood stays in the address until the notice about it was read.
  if (!view || state.asked || (state.family !== null && state.family !== view.family) || state.problems.length > 0 || window.location.pathname !== "/explore") return null;
  const { query } = encodeView(view);
  if (window.location.search !== `?${query}`) window.history.replaceState(null, "", `/explore?${query}`);
  return new URLSearchParams(query).toString();
}

/** The address of the present view, and whether the text is in it. */
export function linkOf(state: Session): { address: string; complete: boolean } {
  const view = viewOf(state);
  const { query, complete } = encodeView(view ?? {});
  return { address: `${window.location.origin}/explore?${query}`, complete };
}
