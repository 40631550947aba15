"use client";

import { useQuery } from "@tanstack/react-query";
import { bundleListSchema, type BundleList, type ListedFamily, type ListedVariant } from "@/lib/home/listing";

export const bundlesKey = ["bundles"] as const;

async function readBundles(): Promise<BundleList> {
  const response = await fetch("/bundles");
  if (!response.ok) throw new Error(`The server answered ${response.status} to the list of models.`);
  return bundleListSchema.parse(await response.json());
}

/** The families that the server has, and which of their files are present. */
export function useBundles() {
  return useQuery({ queryKey: bundlesKey, queryFn: readBundles });
}

/** Variants that are models of their own: all but drafts on a target's features. */
export function runsAlone({ variants }: ListedFamily): ListedVariant[] {
  return variants.filter(({ features }) => !features);
}

/** The family that a page opens on: the one that ships whole if it can be used, else the first that can. */
export function preferredFamily(families: readonly ListedFamily[]): ListedFamily | null {
  const usable = families.filter(({ problem, variants }) => problem === null && variants.some(({ ready }) => ready));
  return usable.find(({ family }) => family === "stories") ?? usable[0] ?? families[0] ?? null;
}
