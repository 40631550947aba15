"use client";

import { isObject } from "@/lib/training/config/document";
import type { ConfigDocument } from "@/lib/training/types";
import { showStage } from "./draft";

/** Of a pipeline: whose fields the form shows, those that all stages share or one stage's own. */
export function StageTabs({ config, stage }: { config: ConfigDocument; stage: number | null }) {
  const stages = Array.isArray(config.stages) ? config.stages : [];
  if (stages.length === 0 && config.stepwise === undefined) return null;
  const names = stages.map((one: unknown, index) => (isObject(one) ? String(one.name ?? one.method ?? `stage ${index}`) : `stage ${index}`));
  const tab = (label: string, value: number | null) => (
    <button
      key={label}
      type="button"
      aria-pressed={stage === value}
      onClick={() => showStage(value)}
      className="h-7 rounded-md px-2.5 text-xs text-ink-2 hover:bg-sunken hover:text-ink aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-ink aria-pressed:shadow-sm"
    >
      {label}
    </button>
  );
  return (
    <section aria-label="Stages" className="rounded-xl border border-line bg-surface p-4 sm:p-5">
      <h2 className="text-[13px] font-semibold">{stages.length > 0 ? `A pipeline of ${stages.length} stages` : "Step by step"}</h2>
      {config.stepwise !== undefined && (
        <p className="mt-1 text-xs text-ink-2">
          Less and less attention: {isObject(config.stepwise) && Array.isArray(config.stepwise.ratios) ? config.stepwise.ratios.map((ratio: unknown) => `${100 * Number(ratio)}%`).join(", ") : "see the JSON"}. The ratios (stepwise) are changed in the
          JSON view.
        </p>
      )}
      {stages.length > 0 && (
        <>
          <div role="group" aria-label="Fields of" className="mt-2.5 inline-flex flex-wrap gap-0.5 rounded-md border border-line bg-sunken p-0.5">
            {tab("All stages", null)}
            {names.map((name, index) => tab(`${index + 1}. ${name}`, index))}
          </div>
          <p className="mt-1.5 text-2xs text-ink-3">{stage === null ? "These fields hold in every stage that does not set them itself." : "Set here what differs in this stage; the rest is as in all stages."}</p>
        </>
      )}
    </section>
  );
}
