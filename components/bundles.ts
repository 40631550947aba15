"use client";

import { useQuery } from "@tanstack/react-query";
import { bundleListSchema, type BundleList } from "@/lib/home/listing";

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
