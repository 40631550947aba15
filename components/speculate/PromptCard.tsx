"use client";

import { useId } from "react";
import { Button } from "@/components/ui/Button";
import { NumberField, Segmented, SelectField } from "@/components/ui/Field";
import type { Drafted } from "@/workers/speculative-protocol";
import { nextCycle, setPace, stop, useEngine } from "./engine";
import { kindNames, samplePrompts } from "./prompts";
import { change, useSettings } from "./settings";

const drafted: { value: string; label: string }[] = [...Array.from({ length: 8 }, (_, index) => ({ value: String(index + 1), label: String(index + 1) })), { value: "adaptive", label: "Adaptive" }];
const drafts = (value: string): Drafted => (value === "adaptive" ? value : Number(value));

/** The prompt, how it is decoded, and the way to start and to steer. */
export function PromptCard({ prompt, chat, onRun, blocked }: { prompt: string; chat: boolean | null; onRun: () => void; blocked: boolean }) {
  const { k, temperature, tokens, pace, delayMs, baseline } = useSettings();
  const { busy, paused } = useEngine();
  const id = useId();
  const samples = samplePrompts(chat);
  const chosen = samples.findIndex(({ text }) => text === prompt);
  return (
    <section aria-label="Prompt" className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <div className="grid gap-1">
        <div className="flex flex-wrap items-end gap-3">
          <label htmlFor={id} className="min-w-0 flex-1 text-xs text-ink-2">
            {chat === false ? "Text to continue" : "Prompt"}
          </label>
          <div className="w-52 max-w-full">
            <SelectField
              label="Sample prompts"
              value={String(chosen)}
              options={[{ value: "-1", label: "Your own", disabled: true }, ...samples.map(({ kind, text }, index) => ({ value: String(index), label: `${kindNames[kind]}: ${text}` }))]}
              onChange={(value) => change({ prompt: samples[Number(value)]?.text ?? null })}
            />
          </div>
        </div>
        <textarea
          id={id}
          value={prompt}
          rows={3}
          onChange={({ target }) => change({ prompt: target.value })}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            onRun();
          }}
          className="w-full resize-y rounded-md border border-line-strong bg-surface px-3 py-2 text-[13px] leading-5"
        />
      </div>
      <div className="flex flex-wrap items-end gap-x-4 gap-y-3">
        <div className="w-28">
          <SelectField label="Drafts a cycle, K" value={String(k)} options={drafted} onChange={(value) => change({ k: drafts(value) })} />
        </div>
        <div className="w-44">
          <NumberField label="Temperature" hint="0 is greedy" value={temperature} min={0} max={2} step={0.05} onChange={(value) => change({ temperature: value })} />
        </div>
        <div className="w-44">
          <NumberField label="Most tokens" value={tokens} min={1} max={512} step={1} onChange={(value) => change({ tokens: Math.round(value) })} />
        </div>
        <Segmented
          label="Pace"
          value={pace}
          options={[
            { value: "run", label: "Full speed" },
            { value: "slow", label: "Slow" },
            { value: "step", label: "Step" },
          ]}
          onChange={(mode) => {
            change({ pace: mode });
            setPace(mode === "slow" ? { mode, delayMs } : { mode });
          }}
        />
        {pace === "slow" && (
          <div className="w-44">
            <NumberField
              label="Pause, ms"
              value={delayMs}
              min={0}
              max={3000}
              step={50}
              onChange={(value) => {
                change({ delayMs: value });
                setPace({ mode: "slow", delayMs: value });
              }}
            />
          </div>
        )}
      </div>
      <div className="flex flex-wrap items-center gap-3">
        {busy === "run" ? (
          <>
            <Button icon="stop" onClick={stop}>
              Stop
            </Button>
            {pace === "step" && (
              <Button look="primary" icon="play" onClick={nextCycle} disabled={!paused}>
                Next cycle
              </Button>
            )}
          </>
        ) : (
          <Button look="primary" icon="play" onClick={onRun} disabled={blocked || busy === "sweep"}>
            Run
          </Button>
        )}
        <label className="flex items-center gap-2 text-xs text-ink-2">
          <input type="checkbox" checked={baseline} onChange={({ target }) => change({ baseline: target.checked })} className="size-3.5 accent-(--accent)" />
          Decode plainly first, to compare
        </label>
        <p className="text-2xs text-ink-3 max-sm:hidden">Ctrl+Enter runs, Escape stops{pace === "step" ? ", N is the next cycle" : ""}.</p>
      </div>
    </section>
  );
}
