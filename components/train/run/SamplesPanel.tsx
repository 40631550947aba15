"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useId, useMemo, useState } from "react";
import { IconButton } from "@/components/ui/Button";
import type { Sample, TrainingEvent } from "@/lib/training/types";
import type { z } from "zod";
import type { samplesAnswerSchema } from "@/lib/training/types";
import { explain } from "../api";
import { Notice } from "@/components/ui/Notice";
import { useEvent, type RunRef } from "../events";
import { keys } from "../keys";
import { useSamples } from "../queries";

/** What the student wrote at a step, beside the teacher's text for the same prompt. */
export function SamplesPanel({ run, every }: { run: RunRef; every: number | null }) {
  const samples = useSamples(run);
  useLiveSamples(run);
  const list = useMemo(() => samples.data?.samples ?? [], [samples.data]);
  const steps = useMemo(() => [...new Set(list.map(({ step }) => step))].sort((a, b) => a - b), [list]);
  const [chosen, setChosen] = useState<number | null>(null);
  const slider = useId();
  if (samples.isPending) return <p className="text-[13px] text-ink-2">Reading the samples…</p>;
  if (samples.isError) return <Notice tone="bad" {...explain(samples.error)} />;
  if (steps.length === 0) {
    return <Empty text={every ? `No samples yet: they are written every ${every} steps.` : "This run writes no samples. Set sample_every in its config to see what the student writes while it learns."} />;
  }
  // Without a choice the newest is shown, also as newer ones come.
  const index = chosen === null ? steps.length - 1 : Math.max(0, steps.indexOf(chosen));
  const step = steps[index] ?? 0;
  const go = (to: number): void => setChosen(to >= steps.length - 1 ? null : (steps[Math.max(0, to)] ?? null));
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div className="flex flex-wrap items-center gap-3">
        <label htmlFor={slider} className="tabular w-24 text-[13px]">
          Step {step}
        </label>
        <IconButton icon="chevron" label="Earlier sample" className="rotate-180" disabled={index === 0} onClick={() => go(index - 1)} />
        <input id={slider} type="range" className="slider min-w-40 flex-1" min={0} max={steps.length - 1} step={1} value={index} aria-valuetext={`Step ${step}`} onChange={(event) => go(Number(event.target.value))} />
        <IconButton icon="chevron" label="Later sample" disabled={index === steps.length - 1} onClick={() => go(index + 1)} />
        <span className="tabular text-2xs text-ink-3">
          {index + 1} of {steps.length}
        </span>
      </div>
      {list.filter((sample) => sample.step === step).map((sample, at) => (
        <Pair key={`${sample.step}-${at}`} sample={sample} />
      ))}
    </div>
  );
}

function Pair({ sample: { prompt, text, teacher } }: { sample: Sample }) {
  return (
    <article className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <p className="text-[13px] whitespace-pre-wrap text-ink-2 [overflow-wrap:anywhere]">
        <span className="mr-2 text-2xs text-ink-3">Prompt</span>
        {prompt}
      </p>
      <div className={`grid grid-cols-[minmax(0,1fr)] gap-4 ${teacher === null ? "" : "md:grid-cols-2"}`}>
        <Text name="Student" text={text} mark="bg-mamba" />
        {teacher !== null && <Text name="Teacher" text={teacher} mark="bg-attention" />}
      </div>
    </article>
  );
}

function Text({ name, text, mark }: { name: string; text: string; mark: string }) {
  return (
    <div>
      <h3 className="mb-1 flex items-center gap-1.5 text-2xs text-ink-3">
        <span aria-hidden className={`size-2 rounded-[2px] ${mark}`} />
        {name}
      </h3>
      <p className="text-[13px] leading-relaxed whitespace-pre-wrap [overflow-wrap:anywhere]">{text === "" ? <span className="text-ink-3">(nothing)</span> : text}</p>
    </div>
  );
}

function useLiveSamples({ node, id }: RunRef): void {
  const queries = useQueryClient();
  const listen = useCallback(
    (event: TrainingEvent) => {
      if (event.type !== "samples" || event.node !== node || event.id !== id) return;
      queries.setQueryData<z.infer<typeof samplesAnswerSchema>>(keys.samples(node, id), (old) => {
        if (!old) return old;
        const seen = new Set(old.samples.map(({ step, prompt }) => `${step} ${prompt}`));
        const fresh = event.samples.filter(({ step, prompt }) => !seen.has(`${step} ${prompt}`));
        return { samples: [...old.samples, ...fresh], total: old.total + fresh.length };
      });
    },
    [queries, node, id],
  );
  useEvent(listen);
}

export function Empty({ text }: { text: string }) {
  return <p className="rounded-lg border border-dashed border-line-strong px-4 py-10 text-center text-[13px] text-ink-2">{text}</p>;
}
