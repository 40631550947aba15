"use client";

import { useId } from "react";
import { isObject } from "@/lib/training/config/document";
import type { Manifest } from "@/lib/weights/manifest";
import { useRuns } from "../queries";
import { setField } from "./draft";

type StartSourcesProps = {
  node: string;
  family: string | null;
  manifest: Manifest | undefined;
  /** The section `mixer` of the place that is changed. */
  value: unknown;
};

/** What mixers can start from: the family's sets of this form, and the node's runs. Choosing adds it to the list. */
export function StartSources({ node, family, manifest, value }: StartSourcesProps) {
  const id = useId();
  const runs = useRuns();
  const mixer = isObject(value) ? value : {};
  const form = isObject(mixer.options) && typeof mixer.options.form === "string" ? mixer.options.form : "ssd";
  const sets = Object.entries(manifest?.mixer_sets ?? {}).flatMap(([name, set]) => (set.mixer === "mamba2" && !set.draft && set.config.form === form ? [{ name, layers: set.layers.length }] : []));
  const own = (runs.data?.runs ?? []).filter((run) => run.node === node && run.family === family && run.step > 0 && !["draft", "pretrain"].includes(run.method ?? ""));
  if (family === null || (sets.length === 0 && own.length === 0)) return null;
  const given = mixer.start_from;
  const list = Array.isArray(given) ? given.map(String) : typeof given === "string" ? [given] : [];
  const add = (source: string): void => {
    if (source === "" || list.includes(source)) return;
    // "init" comes last.
    const next = [...list.filter((one) => one !== "init"), source, ...(list.includes("init") ? ["init"] : [])];
    setField("mixer.start_from", next.length === 1 ? next[0] : next);
  };
  return (
    <div className="mt-3 flex flex-wrap items-center gap-x-2 gap-y-1 text-xs">
      <label htmlFor={id} className="text-ink-2">
        Start from trained mixers
      </label>
      <select id={id} value="" onChange={(event) => add(event.target.value)} className="h-7 min-w-0 max-w-full rounded-md border border-line-strong bg-surface px-2 text-xs sm:max-w-80">
        <option value="">Add a mixer set or a run…</option>
        {sets.length > 0 && (
          <optgroup label="Mixer sets of this form">
            {sets.map(({ name, layers }) => (
              <option key={name} value={`bundle:public/models/${family}#${name}`}>
                {name} ({layers} layers)
              </option>
            ))}
          </optgroup>
        )}
        {own.length > 0 && (
          <optgroup label="Runs on this node">
            {own.map((run) => (
              <option key={run.id} value={`data/runs/${run.id}`}>
                {run.name} ({run.step} steps)
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </div>
  );
}
