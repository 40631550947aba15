"use client";

import { useState } from "react";
import { presetGroups, presets, type Preset, type PresetGroup } from "@/lib/training/config/presets";
import { currentDraft, openDraft, presetDraft } from "./draft";

/** Presets by group: choosing one replaces the form's config. */
export function PresetGallery({ current }: { current: string | null }) {
  const own = presets.find(({ id }) => id === current)?.group ?? "Start here";
  const [chosen, setChosen] = useState<PresetGroup | null>(null);
  const group = chosen ?? own;
  return (
    <section aria-labelledby="heading-presets" className="rounded-xl border border-line bg-surface p-4 sm:p-5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h2 id="heading-presets" className="text-[13px] font-semibold">
          Start from
        </h2>
        <div role="group" aria-label="Groups of presets" className="-mx-1 flex max-w-full gap-0.5 overflow-x-auto px-1 text-xs">
          {presetGroups.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === group}
              onClick={() => setChosen(name)}
              className="h-7 shrink-0 rounded-md px-2 text-ink-2 hover:bg-sunken hover:text-ink aria-pressed:bg-sunken aria-pressed:font-medium aria-pressed:text-ink"
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <ul className="mt-3 grid gap-2 sm:grid-cols-2 2xl:grid-cols-3">
        {presets
          .filter((preset) => preset.group === group)
          .map((preset) => (
            <li key={preset.id}>
              <PresetCard preset={preset} current={preset.id === current} />
            </li>
          ))}
      </ul>
    </section>
  );
}

function PresetCard({ preset, current }: { preset: Preset; current: boolean }) {
  return (
    <button
      type="button"
      aria-pressed={current}
      data-preset={preset.id}
      onClick={() => openDraft(presetDraft(preset.id, currentDraft()))}
      className="flex h-full w-full flex-col gap-1 rounded-lg border border-line p-3 text-left transition-colors hover:border-line-strong hover:bg-sunken aria-pressed:border-accent aria-pressed:bg-accent-soft"
    >
      <span className="flex w-full items-baseline gap-2 text-[13px] font-medium">
        {preset.title}
        <span className="ml-auto shrink-0 text-2xs font-normal text-ink-2">{preset.gpu ? "GPU" : preset.id === "blank" ? "" : "CPU"}</span>
      </span>
      <span className="text-2xs text-ink-2">{preset.summary}</span>
    </button>
  );
}
