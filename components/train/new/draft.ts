/** What the form holds: the run to be, its undo history, and the copy of it that survives a reload. */
import { z } from "zod";
import { create } from "zustand";
import { begin, record, redo, undo, type History } from "@/components/explore/history";
import { parsePath, sameJson, withoutValue, withValue } from "@/lib/training/config/document";
import { findPreset } from "@/lib/training/config/presets";
import { configDocumentSchema, launcherSchema, type ConfigDocument, type Launcher } from "@/lib/training/types";

const draftSchema = z.object({
  /** Preset that it began with; its data steps are the job's. null: from a run. */
  preset: z.string().nullable(),
  /** `node:run` that it is a copy of. */
  from: z.string().nullable(),
  name: z.string(),
  tags: z.string(),
  notes: z.string(),
  node: z.string(),
  launcher: launcherSchema,
  config: configDocumentSchema,
});
export type Draft = z.infer<typeof draftSchema>;

type State = {
  readonly history: History<Draft>;
  /** Whether the copy in the browser's storage was looked for. */
  readonly restored: boolean;
  /** Why the form is not what the address asked for. */
  readonly problem: { readonly message: string; readonly action: string } | null;
  /** Stage of a pipeline whose own fields are shown; null: what all share. */
  readonly stage: number | null;
  /** The field that was changed last, and when: changes of one field in a row are one step of undo. */
  readonly last: { readonly what: string; readonly time: number };
};

export const DEFAULT_PRESET = "stories-demo";
const STORAGE = "mambascope.train.new.v1";
/** Changes of one field that follow within this time are undone together. */
const TOGETHER_MS = 1500;

export function presetDraft(id: string, held?: Draft): Draft {
  const preset = findPreset(id) ?? findPreset(DEFAULT_PRESET);
  const config = structuredClone(preset?.config ?? {});
  return {
    preset: preset?.id ?? null,
    from: null,
    name: String(config.name ?? "new-run"),
    tags: held?.tags ?? "",
    notes: held?.notes ?? "",
    node: held?.node ?? "local",
    launcher: held?.launcher ?? { kind: "process", gpus: "all" },
    config,
  };
}

export const useDraft = create<State>(() => ({ history: begin(presetDraft(DEFAULT_PRESET)), restored: false, problem: null, stage: null, last: { what: "", time: 0 } }));

export const currentDraft = (): Draft => useDraft.getState().history.present;

/** Changes the draft; `what` names the field that is typed into, so that a word is one step of undo; "": a step of its own. */
export function changeDraft(part: Partial<Draft>, what: string): void {
  useDraft.setState(({ history, last }) => {
    const next = { ...history.present, ...part };
    if (sameJson(next, history.present)) return {};
    const now = Date.now();
    const together = what !== "" && last.what === what && now - last.time < TOGETHER_MS;
    return { history: together ? { ...history, present: next, future: [] } : record(history, next), last: { what, time: now } };
  });
}

/** Replaces the whole form by a preset or a copy of a run. Can be undone. */
export function openDraft(draft: Draft): void {
  useDraft.setState(({ history }) => ({ history: record(history, draft), problem: null, stage: null, last: { what: "", time: 0 } }));
}

/** The document's place of a field: in the chosen stage, or in what all share. */
function placeOf(path: string): (string | number)[] {
  const { stage } = useDraft.getState();
  return [...(stage === null ? [] : ["stages", stage]), ...parsePath(path)];
}

/** `typed`: what is typed into a field is undone in one step; anything else change by change. */
export function setField(path: string, value: unknown, typed = false): void {
  changeDraft({ config: withValue(currentDraft().config, placeOf(path), value) }, typed ? path : "");
}

/** Back to the default; in a stage, to what all share. */
export function clearField(path: string): void {
  changeDraft({ config: withoutValue(currentDraft().config, placeOf(path)) }, "");
}

export function setConfig(config: ConfigDocument, what: string): void {
  changeDraft({ config }, what);
}

export function setLauncher(launcher: Launcher): void {
  changeDraft({ launcher }, "");
}

export const setProblem = (problem: State["problem"]): void => useDraft.setState({ problem });
export const showStage = (stage: number | null): void => useDraft.setState({ stage });
export const undoDraft = (): void => useDraft.setState(({ history }) => ({ history: undo(history), last: { what: "", time: 0 } }));
export const redoDraft = (): void => useDraft.setState(({ history }) => ({ history: redo(history), last: { what: "", time: 0 } }));

/** The stored draft, if there is one that can be read. */
export function storedDraft(): Draft | null {
  try {
    return draftSchema.safeParse(JSON.parse(localStorage.getItem(STORAGE) ?? "null")).data ?? null;
  } catch {
    return null;
  }
}

/** Starts with a draft, without a step of undo. */
export function startWith(draft: Draft): void {
  useDraft.setState({ history: begin(draft), restored: true, stage: null });
}

/** Keeps a copy after each change, until `stop`. A browser that refuses keeps none. */
export function keepCopies(): () => void {
  return useDraft.subscribe(({ history, restored }, before) => {
    if (!restored || history.present === before.history.present) return;
    try {
      localStorage.setItem(STORAGE, JSON.stringify(history.present));
    } catch {
      // Without storage the form works, and a reload starts anew.
    }
  });
}

export function forgetCopy(): void {
  try {
    localStorage.removeItem(STORAGE);
  } catch {
    // There is none then.
  }
}
