"use client";

import { useEffect, useMemo, useState } from "react";
import { preferredFamily, useBundles } from "@/components/bundles";
import { NoFamily } from "@/components/NoFamily";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { ShareLink } from "@/components/ui/ShareLink";
import { SidePanel } from "@/components/ui/SidePanel";
import { TabList } from "@/components/ui/TabList";
import type { ListedFamily } from "@/lib/home/listing";
import type { ResultsFile } from "@/lib/home/results";
import { AcceptancePanel } from "./AcceptancePanel";
import { answerTokens } from "./answer";
import { AnswerText } from "./AnswerText";
import { choiceOf, draftTitle } from "./choices";
import { CycleDetail } from "./CycleDetail";
import { CycleTimeline } from "./CycleTimeline";
import { nextCycle, sameDraft, sameTarget, start, stop, sweep, useEngine } from "./engine";
import { type Tab, tabs } from "./link";
import { ModelCard, targetOf } from "./ModelCard";
import { PromptCard } from "./PromptCard";
import { inputOf, samplePrompts } from "./prompts";
import { RecordedPanel } from "./RecordedPanel";
import { RunSummary } from "./RunSummary";
import { change, dropSweep, keepSweep, restoreSweep, useSettings } from "./settings";
import { SpeedPanel } from "./SpeedPanel";
import { keepPoint, type Sweep } from "./sweeps";
import { linkOf, useLink } from "./useLink";

const tabNames: Readonly<Record<Tab, string>> = { cycles: "Cycles", acceptance: "Acceptance", speed: "Speed-up", recorded: "Recorded" };
/** What a sweep asks of each prompt. */
const SWEEP_TOKENS = 64;
const SWEEP_K = [1, 2, 3, 4, 6, 8, "adaptive"] as const;

/** Speculative decoding: model and draft at the left, the run and its cycles at the right. */
export function SpeculatePage({ results }: { results: ResultsFile[] }) {
  useLink();
  const bundles = useBundles();
  const families = useMemo(() => bundles.data?.families ?? [], [bundles.data]);
  const restored = useSettings((state) => state.restored);
  const wanted = useSettings((state) => state.family);
  const family = families.find((candidate) => candidate.family === wanted) ?? preferredFamily(families);

  if (bundles.isError || bundles.isPending || !restored || !family) return <NoFamily bundles={bundles} waiting={!restored} />;
  return <Workbench families={families} family={family} unknown={wanted !== null && wanted !== family.family ? wanted : null} results={results} />;
}

function Workbench({ families, family, unknown, results }: { families: ListedFamily[]; family: ListedFamily; unknown: string | null; results: ResultsFile[] }) {
  const settings = useSettings();
  const { status, target, draft, info, run, busy, failure } = useEngine();
  const [chosenOpen, setPanelOpen] = useState<boolean | null>(null);
  const [selected, setSelected] = useState<number | null>(null);
  const [dropped, setDropped] = useState<Sweep | null>(null);
  const choice = useMemo(() => choiceOf(settings, family), [settings, family]);
  const ready = status === "ready" && sameTarget(target, targetOf(family, choice, settings.provider)) && draft !== null && sameDraft(draft, choice.draft);
  const panelOpen = chosenOpen ?? !ready;
  const prompt = settings.prompt ?? samplePrompts(family.chat)[0]?.text ?? "";
  const sampling = { temperature: settings.temperature };
  const title = `${choice.title}, ${draftTitle(choice.draft, family)}`;
  const tokens = useMemo(() => answerTokens(run?.first ?? null, run?.cycles ?? []), [run?.first, run?.cycles]);
  const cycle = run?.cycles[selected ?? -1] ?? null;
  const sweeps = settings.sweeps.filter((each) => each.family === family.family);
  const name = [family.family, choice.title];
  const problems = [...(unknown ? [`There is no family "${unknown}" here; ${family.title} is shown instead.`] : []), ...settings.problems, ...choice.unknown];

  const begin = () => {
    if (!ready || busy !== null || prompt.trim() === "") return;
    setSelected(null);
    const pace = settings.pace === "slow" ? { mode: "slow" as const, delayMs: settings.delayMs } : { mode: settings.pace };
    void start({ input: inputOf(prompt, info?.chatTemplate ?? false), sampling, K: settings.k, maxTokens: settings.tokens, pace, baseline: settings.baseline });
  };
  const measure = async () => {
    if (!info || !ready) return;
    const prompts = samplePrompts(info.chatTemplate).map(({ kind, text }) => ({ kind, input: inputOf(text, info.chatTemplate) }));
    const device = info.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${info.threads} ${info.threads === 1 ? "thread" : "threads"}`;
    const { points, complete } = await sweep(prompts, [...SWEEP_K], { sampling: { temperature: 0 }, maxTokens: SWEEP_TOKENS });
    if (points.length === 0) return;
    keepSweep({
      id: crypto.randomUUID(),
      family: family.family,
      target: choice.title,
      draft: draftTitle(choice.draft, family),
      device,
      temperature: 0,
      date: new Date().toISOString(),
      complete,
      points: points.map(keepPoint),
    });
  };
  useKeys();

  return (
    <div className="grid flex-1 grid-cols-[minmax(0,1fr)] content-start lg:h-[calc(100dvh-49px)] lg:flex-none lg:grid-cols-[19rem_minmax(0,1fr)] lg:grid-rows-1">
      <SidePanel label="Target and draft" id="speculate-panel" open={panelOpen} onOpen={setPanelOpen} title="Target and draft" aside={title} className="px-4 pt-1 pb-4 lg:px-5 lg:pt-4">
        <ModelCard families={families} family={family} choice={choice} provider={settings.provider} />
      </SidePanel>
      <div className="relative min-w-0 lg:min-h-0 lg:overflow-y-auto">
        <div className="mx-auto grid max-w-6xl grid-cols-[minmax(0,1fr)] gap-4 px-4 py-4 sm:px-6 sm:py-5">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="text-base font-semibold tracking-tight">Speculate</h1>
            <p className="min-w-0 truncate text-[13px] text-ink-2 max-sm:hidden">A small model guesses, the hybrid checks, and the text stays the hybrid&apos;s own.</p>
            <CopyLink />
          </div>
          {problems.length > 0 && (
            <Notice tone="warn" message={problems.join(" ")} action="Everything else is shown.">
              <Button onClick={() => change({ problems: [], family: family.family, ...(choice.unknown.length > 0 && { target: null, pattern: null, draft: null }) })}>Close</Button>
            </Notice>
          )}
          {settings.storageFailed && <Notice tone="warn" message="The browser refuses to store the measurements." action="Export the chart's CSV before you leave, or allow this site to store data." />}
          <PromptCard prompt={prompt} chat={family.chat} onRun={begin} blocked={!ready || prompt.trim() === ""} />
          {!ready && status !== "loading" && <Notice tone="info" message="Load a target and a draft to run them." />}
          {failure && <Notice tone="bad" message={failure.message} action={failure.action} />}
          {run && (
            <>
              <RunSummary run={run} />
              <AnswerText tokens={tokens} selected={selected} onSelect={setSelected} running={busy === "run" && run.phase === "speculative"} />
            </>
          )}
          <TabList label="Views" tabs={tabs.map((id) => ({ id, title: tabNames[id] }))} tab={settings.tab} onTab={(tab) => change({ tab })}>
            <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
              {settings.tab === "cycles" && (
                <>
                  <CycleTimeline cycles={run?.cycles ?? []} selected={selected} onSelect={setSelected} name={name} following={busy === "run"} />
                  {run && run.cycles.length > 0 && <CycleDetail cycle={cycle ?? (busy === "run" ? (run.cycles.at(-1) ?? null) : null)} greedy={settings.temperature === 0} />}
                </>
              )}
              {settings.tab === "acceptance" && <AcceptancePanel run={run} sweep={sweeps[0] ?? null} name={name} />}
              {settings.tab === "speed" && (
                <>
                  {dropped && (
                    <Notice tone="info" message={`The measurement of ${dropped.target}, ${dropped.draft} was removed.`}>
                      <Button
                        icon="undo"
                        onClick={() => {
                          restoreSweep(dropped);
                          setDropped(null);
                        }}
                      >
                        Put it back
                      </Button>
                    </Notice>
                  )}
                  <SpeedPanel
                    sweeps={sweeps}
                    blocked={!ready}
                    onSweep={() => void measure()}
                    onDrop={(gone) => {
                      dropSweep(gone.id);
                      setDropped(gone);
                    }}
                    name={name}
                  />
                </>
              )}
              {settings.tab === "recorded" && <RecordedPanel results={results} family={family.family} name={name} />}
            </div>
          </TabList>
        </div>
      </div>
    </div>
  );
}

function CopyLink() {
  const state = useSettings();
  const complete = typeof window === "undefined" || linkOf(state).complete;
  return <ShareLink left={complete ? null : "The prompt is too long for a link and stays here."} address={() => linkOf(useSettings.getState()).address} />;
}

/** Escape stops, N lets the next cycle go, except while text is edited. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "Escape") stop();
      const { target } = event;
      if (target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))) return;
      if (event.key.toLowerCase() === "n" && !event.ctrlKey && !event.metaKey && !event.altKey) nextCycle();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
