/** The explorer's state that a visitor makes: text, patterns, what is looked at. What is computed from it is in `probe.ts`. */
import { create } from "zustand";
import { formatPattern, parsePattern } from "@/lib/hybrid/pattern";
import { isAttentionLayer } from "@/lib/hybrid/config";
import type { ProviderChoice } from "@/workers/protocol";
import { begin, record, redo, undo, type History } from "./history";
import type { Source, Tab, View } from "./link";
import { keepOnly, misfit, moveToSet, paint, samePattern, setsFor, startingPattern, type FamilyShape, type Kind } from "./patterns";
import { samples, startingSample, type SampleId } from "./samples";
import { readStored, writeStored, type OwnText, type SavedConfig } from "./saved";

export type Slot = "a" | "b";
/** The two patterns; `b` is null without A/B. */
export type Patterns = { readonly a: readonly string[]; readonly b: readonly string[] | null };

export type Session = {
  /** False until address and storage were read, which only the browser can. */
  restored: boolean;
  /** Asked for; null: the first that can be used. */
  family: string | null;
  provider: ProviderChoice;
  shape: FamilyShape | null;
  /** One history a family, so that going back to a family finds everything as it was. */
  histories: Readonly<Record<string, History<Patterns>>>;
  /** Mixer set that painted cells take; null: the one that holds the most layers. */
  set: string | null;
  editing: Slot;
  /** Null: the sample that suits the family. */
  sample: SampleId | "own" | null;
  own: OwnText;
  layer: number;
  /** Head that the view inside a layer shows; the last one where a layer has fewer. */
  head: number;
  tab: Tab;
  saved: SavedConfig[];
  /** Sentences on what could not be read, to be shown until dismissed. */
  problems: string[];
  storageFailed: boolean;
  /** What a link asked for and can only be checked when its family is known. */
  asked: Pick<View, "a" | "b" | "set" | "layer"> | null;
};

export const useExplore = create<Session>(() => ({
  restored: false,
  family: null,
  provider: "auto",
  shape: null,
  histories: {},
  set: null,
  editing: "a",
  sample: null,
  own: { name: null, text: "" },
  layer: 0,
  head: 0,
  tab: "text",
  saved: [],
  problems: [],
  storageFailed: false,
  asked: null,
}));

const { getState: get, setState: set } = useExplore;

/** Reads what is stored in this browser; later changes of it are stored. */
export function restoreSession(): void {
  if (get().restored) return;
  const { saved, own, unreadable } = readStored();
  const problems = unreadable > 0 ? [`${unreadable === 1 ? "A saved configuration" : `${unreadable} saved configurations`} could not be read and ${unreadable === 1 ? "was" : "were"} left out.`] : [];
  set({ saved, own, problems, restored: true });
  useExplore.subscribe((state, before) => {
    if (state.saved === before.saved && state.own === before.own) return;
    const storageFailed = !writeStored(state);
    if (storageFailed !== get().storageFailed) set({ storageFailed });
  });
}

/** Takes over what a link says; patterns wait until their family is known. */
export function applyView(view: View, problems: readonly string[]): void {
  set((state) => ({
    family: view.family ?? state.family,
    provider: view.provider ?? state.provider,
    tab: view.tab ?? state.tab,
    head: view.head ?? state.head,
    ...sourceState(view.source, state),
    asked: { ...(view.a && { a: view.a }), ...(view.b && { b: view.b }), ...(view.set !== undefined && { set: view.set }), ...(view.layer !== undefined && { layer: view.layer }) },
    problems: [...problems],
  }));
  const { shape, family } = get();
  if (shape && shape.family === family) openFamily(shape);
}

function sourceState(source: Source | undefined, { own }: Session): Partial<Session> {
  if (!source) return {};
  if (source.kind === "sample") return { sample: source.id };
  return { sample: "own", own: own.text === source.text ? own : { name: null, text: source.text } };
}

/** Makes a family the one that is explored, with what a link asked for where that fits. */
export function openFamily(shape: FamilyShape): void {
  set((state) => {
    const asked = state.asked;
    const problems = [...state.problems];
    const fitting = (pattern: readonly string[] | undefined, name: string): readonly string[] | null => {
      const fault = pattern && misfit(pattern, shape);
      if (fault) problems.push(`Pattern ${name}, "${formatPattern([...pattern])}", does not fit ${shape.family}: ${fault}. Another is shown instead.`);
      return pattern && !fault ? pattern : null;
    };
    const known = state.histories[shape.family];
    const a = fitting(asked?.a, "A");
    const b = fitting(asked?.b, "B");
    const present: Patterns = { a: a ?? known?.present.a ?? startingPattern(shape), b: asked?.a ? b : (b ?? known?.present.b ?? null) };
    const history = known ? (same(known.present, present) ? known : record(known, present)) : begin(present);
    const wantedSet = asked?.set ?? state.set;
    const knownSet = shape.sets.some(({ name }) => name === wantedSet);
    if (asked?.set !== undefined && !knownSet) problems.push(`There is no mixer set "${asked.set}" in ${shape.family}.`);
    const layer = asked?.layer ?? state.layer;
    if (asked?.layer !== undefined && asked.layer >= shape.layers) problems.push(`There is no layer ${asked.layer} in ${shape.family}: its last one is ${shape.layers - 1}.`);
    return {
      shape,
      asked: null,
      problems,
      histories: { ...state.histories, [shape.family]: history },
      set: knownSet ? wantedSet : null,
      layer: Math.min(layer, shape.layers - 1),
      editing: present.b ? state.editing : "a",
    };
  });
}

const same = (one: Patterns, other: Patterns): boolean => samePattern(one.a, other.a) && (one.b === null || other.b === null ? one.b === other.b : samePattern(one.b, other.b));

/** The history of the open family; null before one is open. */
export function historyOf({ shape, histories }: Pick<Session, "shape" | "histories">): History<Patterns> | null {
  return (shape && histories[shape.family]) ?? null;
}

export function patternsOf(state: Pick<Session, "shape" | "histories">): Patterns | null {
  return historyOf(state)?.present ?? null;
}

/** The pattern that edits go to: undoing the start of a comparison takes B away under the visitor. */
export function editedSlot(state: Pick<Session, "shape" | "histories" | "editing">): Slot {
  return patternsOf(state)?.b ? state.editing : "a";
}

/** The set that painted cells take. */
export function paintingSet({ shape, set: chosen }: Pick<Session, "shape" | "set">): string {
  return chosen ?? shape?.sets[0]?.name ?? "";
}

/** The text that is looked at. */
export function textOf({ sample, own }: Pick<Session, "sample" | "own">, family: string, chat: boolean | null): { id: SampleId | "own"; text: string } {
  const id = sample ?? startingSample(family, chat);
  return { id, text: id === "own" ? own.text : samples[id].text };
}

function changeHistory(change: (history: History<Patterns>, shape: FamilyShape) => History<Patterns>): void {
  const { shape } = get();
  const history = historyOf(get());
  if (!shape || !history) return;
  const next = change(history, shape);
  if (next !== history) set((state) => ({ histories: { ...state.histories, [shape.family]: next } }));
}

/** Replaces the pattern that is edited. */
export function setPattern(pattern: readonly string[], slot: Slot = editedSlot(get())): void {
  changeHistory((history) => {
    const next = { ...history.present, [slot]: pattern };
    return same(history.present, next) ? history : record(history, next);
  });
}

/** Makes a range of layers attention or Mamba. */
export function paintLayers(first: number, last: number, kind: Kind, slot: Slot = editedSlot(get())): void {
  const { shape } = get();
  const pattern = patternsOf(get())?.[slot];
  if (shape && pattern) setPattern(paint(pattern, shape, first, last, kind, paintingSet(get())), slot);
}

/** Makes a layer what it is not: attention or Mamba. */
export function otherKind(spec: string | undefined): Kind {
  return spec !== undefined && isAttentionLayer(spec) ? "mamba" : "attention";
}

/** Attention in these layers, Mamba in all others. */
export function keepLayers(kept: Iterable<number>): void {
  const { shape } = get();
  if (shape) setPattern(keepOnly(shape, kept, paintingSet(get())));
}

/** Gives a layer one of the mixers that there are for it. */
export function setLayer(layer: number, spec: string, slot: Slot = editedSlot(get())): void {
  const { shape } = get();
  const pattern = patternsOf(get())?.[slot];
  if (!shape || !pattern) return;
  if (spec !== "attention" && !setsFor(shape, layer).some(({ name }) => spec === `mamba2:${name}`)) return;
  setPattern(pattern.map((old, index) => (index === layer ? spec : old)), slot);
}

/** Chooses the mixer set; Mamba cells that it holds move to it. */
export function chooseSet(name: string): void {
  const { shape } = get();
  const pattern = patternsOf(get())?.[editedSlot(get())];
  set({ set: name });
  if (shape && pattern) setPattern(moveToSet(pattern, shape, name));
}

export const undoEdit = (): void => changeHistory(undo);
export const redoEdit = (): void => changeHistory(redo);

/** Begins or ends the comparison of two patterns; B begins as a copy of A, so that each change of it shows. */
export function setComparing(on: boolean): void {
  changeHistory((history) => {
    if (on === (history.present.b !== null)) return history;
    return record(history, { ...history.present, b: on ? history.present.a : null });
  });
  set({ editing: on ? "b" : "a" });
}

export function swapPatterns(): void {
  changeHistory((history) => (history.present.b ? record(history, { a: history.present.b, b: history.present.a }) : history));
}

export function chooseFamily(family: string): void {
  set({ family, asked: null, problems: [] });
}

export function chooseSource(sample: SampleId | "own"): void {
  set({ sample });
}

export function setOwnText(text: string, name: string | null = null): void {
  set({ own: { text, name }, sample: "own" });
}

export function look(change: Partial<Pick<Session, "layer" | "head" | "tab" | "editing" | "provider">>): void {
  set(change);
}

export function dismissProblems(): void {
  set({ problems: [] });
}

/** Keeps both patterns under a name. */
export function saveAs(name: string): void {
  const { shape, set: chosen } = get();
  const patterns = patternsOf(get());
  const title = name.trim().slice(0, 80);
  if (!shape || !patterns || title === "") return;
  const entry: SavedConfig = {
    id: crypto.randomUUID(),
    name: title,
    family: shape.family,
    a: formatPattern([...patterns.a]),
    b: patterns.b && formatPattern([...patterns.b]),
    set: chosen,
    savedAt: new Date().toISOString(),
  };
  set((state) => ({ saved: [entry, ...state.saved] }));
}

export function renameSaved(id: string, name: string): void {
  const title = name.trim().slice(0, 80);
  if (title !== "") set(({ saved }) => ({ saved: saved.map((entry) => (entry.id === id ? { ...entry, name: title } : entry)) }));
}

export function deleteSaved(id: string): void {
  set(({ saved }) => ({ saved: saved.filter((entry) => entry.id !== id) }));
}

/** Puts a deleted one back. */
export function restoreSaved(entry: SavedConfig): void {
  set(({ saved }) => ({ saved: [entry, ...saved.filter(({ id }) => id !== entry.id)].sort((one, other) => other.savedAt.localeCompare(one.savedAt)) }));
}

export function loadSaved(entry: SavedConfig): void {
  applyView({ family: entry.family, a: parsePattern(entry.a), ...(entry.b !== null && { b: parsePattern(entry.b) }), ...(entry.set !== null && { set: entry.set }) }, []);
}

/** What a link to this page says. */
export function viewOf(state: Session): View | null {
  const patterns = patternsOf(state);
  if (!state.shape || !patterns) return null;
  return {
    family: state.shape.family,
    a: patterns.a,
    ...(patterns.b && { b: patterns.b }),
    ...(state.set !== null && { set: state.set }),
    ...(state.sample === "own" ? { source: { kind: "own", text: state.own.text } as const } : state.sample !== null ? { source: { kind: "sample", id: state.sample } as const } : {}),
    layer: state.layer,
    head: state.head,
    tab: state.tab,
    provider: state.provider,
  };
}
