"use client";

import { usePathname, useSearchParams } from "next/navigation";
import { useCallback } from "react";
import { runsAlone } from "@/components/bundles";
import type { ListedFamily, ListedVariant } from "@/lib/home/listing";
import { providerChoiceSchema, type ProviderChoice } from "@/workers/protocol";

/**
 * What the page's address says: `?family=&variant=&compare=&provider=`. Unknown names fall back to a family that is ready, drafts that cannot run alone to
 * its usual variant.
 */
export type PageSelection = {
  family: ListedFamily | null;
  variant: string;
  /** The second column's variant, or null without side-by-side view. */
  compare: string | null;
  provider: ProviderChoice;
  /** Named in the address, but drafts that need a target. */
  refused: readonly ListedVariant[];
};

type Change = Partial<Record<"family" | "variant" | "compare" | "provider", string | null>>;

/** The selection in the address, and the way to change it (without a new history entry). */
export function useSelection(families: ListedFamily[]): [PageSelection, (change: Change) => void] {
  const query = useSearchParams();
  const path = usePathname();

  const family = families.find(({ family: name }) => name === query.get("family")) ?? preferredFamily(families);
  const [alone, needy] = [family ? runsAlone(family) : [], family?.variants.filter(({ features }) => features) ?? []];
  const named = [query.get("variant"), query.get("compare")];
  const known = (name: string | null) => alone.find((variant) => variant.name === name)?.name ?? null;
  const selection: PageSelection = {
    family,
    variant: known(query.get("variant")) ?? preferredVariant(family),
    compare: known(query.get("compare")),
    provider: providerChoiceSchema.catch("auto").parse(query.get("provider") ?? "auto"),
    refused: needy.filter(({ name }) => named.includes(name)),
  };

  const change = useCallback(
    (wanted: Change) => {
      const next = new URLSearchParams(window.location.search);
      for (const [key, value] of Object.entries(wanted)) {
        if (value === null) next.delete(key);
        else next.set(key, value);
      }
      window.history.replaceState(null, "", `${path}?${next}`);
    },
    [path],
  );
  return [selection, change];
}

function preferredFamily(families: ListedFamily[]): ListedFamily | null {
  const ready = families.filter(({ variants }) => variants.some((variant) => variant.ready));
  return ready.find(({ family }) => family === "stories") ?? ready[0] ?? families[0] ?? null;
}

/** A hybrid with as much attention as Mamba if there is one, since that is what the page is about. */
export function preferredVariant(family: ListedFamily | null): string {
  const variants = family ? runsAlone(family) : [];
  return (variants.find(({ name }) => name === "attn50") ?? variants[0])?.name ?? "";
}
