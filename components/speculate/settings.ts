/** What the visitor chose. It lives in the address; measured sweeps are kept in the browser. */
import { create } from "zustand";
import { z } from "zod";
import type { ProviderChoice } from "@/workers/protocol";
import type { DraftChoice, Drafted, Pace } from "@/workers/speculative-protocol";
import type { Tab, View } from "./link";
import { type Sweep, sweepSchema } from "./sweeps";

export type Settings = {
  restored: boolean;
  family: string | null;
  /** A variant's name; null: the family's half-attention hybrid. */
  target: string | null;
  /** Layers of the target in place of a variant, as the explorer's links give them. */
  pattern: readonly string[] | null;
  /** Null: the draft that ships with the family, or the lookup. */
  draft: DraftChoice | null;
  k: Drafted;
  /** 0: greedy. */
  temperature: number;
  tokens: number;
  provider: ProviderChoice;
  tab: Tab;
  /** Null: the first sample that suits the family. */
  prompt: string | null;
  pace: Pace["mode"];
  delayMs: number;
  /** Whether plain decoding runs first, for comparison. */
  baseline: boolean;
  sweeps: Sweep[];
  storageFailed: boolean;
  problems: string[];
};

export const useSettings = create<Settings>(() => ({
  restored: false,
  family: null,
  target: null,
  pattern: null,
  draft: null,
  k: "adaptive", // a fixed length that pays on a GPU does not on a processor
  temperature: 0,
  tokens: 96,
  provider: "auto",
  tab: "cycles",
  prompt: null,
  pace: "run",
  delayMs: 600,
  baseline: true,
  sweeps: [],
  storageFailed: false,
  problems: [],
}));

const { getState: get, setState: set } = useSettings;
const STORED = "mambascope.speculate.sweeps";
/** The newest are kept. */
const MOST_SWEEPS = 12;

export function change(wanted: Partial<Omit<Settings, "restored" | "sweeps" | "storageFailed">>): void {
  set(wanted);
}

/** Another family: its own target, draft and prompt. */
export function chooseFamily(family: string): void {
  set({ family, target: null, pattern: null, draft: null, prompt: null });
}

export function applyView(view: View, problems: readonly string[]): void {
  set((state) => ({
    family: view.family ?? state.family,
    target: view.target ?? (view.pattern ? null : state.target),
    pattern: view.target === undefined ? (view.pattern ?? state.pattern) : null,
    draft: view.draft ?? state.draft,
    k: view.k ?? state.k,
    temperature: view.temperature ?? state.temperature,
    tokens: view.tokens ?? state.tokens,
    provider: view.provider ?? state.provider,
    tab: view.tab ?? state.tab,
    prompt: view.prompt ?? state.prompt,
    problems: [...problems],
  }));
}

export function viewOf(state: Settings): View {
  return {
    ...(state.family !== null && { family: state.family }),
    ...(state.target !== null && { target: state.target }),
    ...(state.pattern && { pattern: state.pattern }),
    ...(state.draft && { draft: state.draft }),
    k: state.k,
    ...(state.temperature > 0 && { temperature: state.temperature }),
    tokens: state.tokens,
    provider: state.provider,
    tab: state.tab,
    ...(state.prompt !== null && state.prompt !== "" && { prompt: state.prompt }),
  };
}

/** Reads what the browser keeps, once. What is damaged is left out. */
export function restoreSettings(): void {
  if (get().restored) return;
  let sweeps: Sweep[] = [];
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    sweeps = z.array(z.unknown()).parse(stored).flatMap((entry) => sweepSchema.safeParse(entry).data ?? []);
  } catch {
    // No storage, or not ours: the page works without.
  }
  set({ restored: true, sweeps });
}

/** Adds a sweep, or replaces the one with its id. */
export function keepSweep(sweep: Sweep): void {
  store([sweep, ...get().sweeps.filter(({ id }) => id !== sweep.id)].slice(0, MOST_SWEEPS));
}

export function dropSweep(id: string): void {
  store(get().sweeps.filter((sweep) => sweep.id !== id));
}

/** Puts a dropped one back. */
export function restoreSweep(sweep: Sweep): void {
  store([...get().sweeps, sweep].sort((one, other) => other.date.localeCompare(one.date)));
}

function store(sweeps: Sweep[]): void {
  let storageFailed = false;
  try {
    localStorage.setItem(STORED, JSON.stringify(sweeps));
  } catch {
    storageFailed = true;
  }
  set({ sweeps, storageFailed });
}
