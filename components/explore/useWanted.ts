"use client";

import { useEffect, useRef, useState } from "react";
import { isAttentionLayer, parseLayerSpec } from "@/lib/hybrid/config";
import type { ListedFamily } from "@/lib/home/listing";
import { baseBytes, missingFiles } from "./ModelCard";
import { setsFor, type FamilyShape } from "./patterns";
import { loadProbe, retry, useProbe, want } from "./probe";
import type { Tab } from "./link";
import type { Patterns } from "./session";

/** Models up to this size load by themselves, and are swept by themselves on any provider. */
const smallBytes = 40e6;
/** A pause in typing after which the text is read. */
const typingMs = 500;

type Inputs = { family: ListedFamily | null; shape: FamilyShape | null; provider: "auto" | "webgpu" | "wasm"; patterns: Patterns | null; set: string; text: string; layer: number; tab: Tab };

/** Tells the probe what the page needs. Returns the way to ask for the sweep of all layers. */
export function useWanted({ family, shape, provider, patterns, set, text, layer, tab }: Inputs): () => void {
  const status = useProbe((state) => state.status);
  const target = useProbe((state) => state.target);
  const onGpu = useProbe((state) => state.info?.provider === "webgpu");
  const [asked, setAsked] = useState<string | null>(null);
  const settled = useSettled(text, typingMs);
  const tried = useRef("");

  const usable = family !== null && family.problem === null && missingFiles(family).length === 0;
  const small = family !== null && baseBytes(family) <= smallBytes;
  const name = family?.family ?? "";
  useEffect(() => {
    const key = `${name} ${provider}`;
    const switching = status === "ready" && target?.family === name && target.provider !== provider;
    if (!usable || tried.current === key) return;
    tried.current = key;
    if (small || switching) void loadProbe({ family: name, provider });
  }, [usable, small, name, provider, status, target]);

  const current = shape !== null && target?.family === shape.family && shape.family === name;
  const sweepKey = `${name} ${set} ${settled}`;
  const sweeping = small || onGpu || asked === sweepKey;
  useEffect(() => {
    const none = { text: null, a: null, b: null, inside: null, distances: null, sweep: null };
    if (!current || !patterns || settled.trim() === "") return want(none);
    want({
      text: settled,
      a: patterns.a,
      b: patterns.b,
      inside: tab === "inside" && shape ? insideOf(shape, patterns.a, layer, set) : null,
      distances: set || null,
      sweep: sweeping ? set || null : null,
    });
  }, [current, shape, patterns, set, settled, layer, tab, sweeping]);

  return () => {
    setAsked(sweepKey);
    retry("sweep");
  };
}

/** The mixer that is looked into: the pattern's own where the layer is replaced, else the painting set's, else any. */
export function insideOf(shape: FamilyShape, pattern: readonly string[], layer: number, set: string): { layer: number; set: string } | null {
  const spec = pattern[layer];
  const own = spec !== undefined && !isAttentionLayer(spec) ? parseLayerSpec(spec).set : null;
  const sets = setsFor(shape, layer);
  const found = sets.find(({ name }) => name === own) ?? sets.find(({ name }) => name === set) ?? sets[0];
  return found ? { layer, set: found.name } : null;
}

/** The value as soon as it has not changed for a while; the first one at once. */
function useSettled(value: string, milliseconds: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), settled === "" ? 0 : milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds, settled]);
  return settled;
}
