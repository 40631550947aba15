"use client";

import { useQuery } from "@tanstack/react-query";
import { ManifestError, parseManifest, type Manifest } from "@/lib/weights/manifest";

/** A family's manifest as the server has it. */
export function useManifest(family: string | null) {
  return useQuery({ queryKey: ["manifest", family], enabled: family !== null, queryFn: () => readManifest(family ?? "") });
}

async function readManifest(family: string): Promise<Manifest> {
  const response = await fetch(`/bundles/${encodeURIComponent(family)}/manifest.json`);
  if (!response.ok) throw new Error(`The server answered ${response.status} to the manifest of ${family}.`);
  const json: unknown = await response.json().catch(() => null);
  return parseManifest(json);
}

export function manifestAction(error: Error): string {
  return error instanceof ManifestError ? error.action : "Check that the server is running (npm start), then try again.";
}
