"use client";

import { useSearchParams } from "next/navigation";
import { useEffect, useRef } from "react";
import { findPreset } from "@/lib/training/config/presets";
import { nodeIdPattern, runDetailSchema, runIdPattern } from "@/lib/training/types";
import { ask, explain, runPath } from "../api";
import { DEFAULT_PRESET, keepCopies, openDraft, presetDraft, setProblem, startWith, storedDraft, useDraft, type Draft } from "./draft";

/** Fills the form from the address (`?preset=` or `?from=node:run`) or from the copy that a reload left; keeps the address up to date. */
export function useStart(): { problem: { message: string; action: string } | null; loading: boolean } {
  const search = useSearchParams();
  const preset = search.get("preset");
  const from = search.get("from");
  const restored = useDraft((state) => state.restored);
  const problem = useDraft((state) => state.problem);
  const written = useRef<string | null>(null);

  useEffect(() => keepCopies(), []);

  // Before the form is filled, so that its first address is written too.
  useEffect(() => {
    return useDraft.subscribe(({ history, restored: ready }, before) => {
      const address = addressOf(history.present);
      if (!ready || (before.restored && address === addressOf(before.history.present)) || window.location.pathname !== "/train/new") return;
      written.current = address;
      window.history.replaceState(null, "", address === "" ? "/train/new" : `/train/new?${address}`);
    });
  }, []);

  useEffect(() => {
    const wanted = from !== null ? `from=${from}` : preset !== null ? `preset=${preset}` : "";
    if (written.current === wanted) return;
    written.current = wanted;
    const start = useDraft.getState().restored ? openDraft : startWith;
    const stored = storedDraft();
    if (stored && !useDraft.getState().restored && (wanted === "" || addressOf(stored) === wanted)) {
      startWith(stored);
      return;
    }
    if (from === null) {
      if (preset !== null && !findPreset(preset)) setProblem({ message: `There is no preset “${preset}”.`, action: "Choose one of those below." });
      if (wanted !== "" || !useDraft.getState().restored) start(presetDraft(preset ?? DEFAULT_PRESET));
      return;
    }
    const [node = "", id = ""] = from.split(":");
    const abort = new AbortController();
    if (!nodeIdPattern.test(node) || !runIdPattern.test(id)) {
      setProblem({ message: `“${from}” names no run.`, action: "Choose “Duplicate” on a run's page." });
      start(presetDraft(DEFAULT_PRESET));
      return;
    }
    ask(runPath(node, id), runDetailSchema, { signal: abort.signal }).then(
      (run) => {
        if (!run.config) {
          setProblem({ message: `The run ${run.name} has no config to copy.`, action: "It ended before it began; choose a preset." });
          start(presetDraft(DEFAULT_PRESET));
          return;
        }
        const known = run.preset !== null && findPreset(run.preset) ? run.preset : null;
        start({ ...presetDraft(known ?? "blank"), preset: known, from, name: copyName(run.name), tags: run.tags.join(", "), node: run.readOnly ? "local" : node, config: run.config });
      },
      (error: Error) => {
        if (abort.signal.aborted) return;
        setProblem(explain(error));
        start(presetDraft(DEFAULT_PRESET));
      },
    );
    return () => {
      abort.abort();
      written.current = null;
    };
  }, [preset, from]);

  return { problem, loading: !restored };
}

const addressOf = ({ preset, from }: Draft): string => (from !== null ? `from=${from}` : preset !== null ? `preset=${preset}` : "");

/** `run 2` after `run`, `run 3` after `run 2`. */
export function copyName(name: string): string {
  const [, base, number] = /^(.*?)(?:[ -](\d{1,3}))?$/.exec(name) ?? [];
  const joint = name.includes(" ") ? " " : "-";
  return `${base ?? name}${joint}${Number(number ?? 1) + 1}`.slice(0, 80);
}
