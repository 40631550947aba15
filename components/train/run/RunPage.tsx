"use client";

import dynamic from "next/dynamic";
import Link from "next/link";
import { useDeferredValue, useMemo, useState } from "react";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import type { RunDetail } from "@/lib/training/types";
import { explain, TrainingError } from "../api";
import { ConnectionNotice } from "../ConnectionNotice";
import { ChartControls } from "../charts/ChartControls";
import { useTrainingEvents } from "../events";
import { readRun, type RunName } from "../link";
import { keyOf, stageMarks } from "../metrics";
import { useChange, useRun, useTrash } from "../queries";
import { axisPlaces, stepsWithin } from "../series";
import { TabList } from "@/components/ui/TabList";
import { useAddress, useChartView } from "../useQueryState";
import { isActive } from "../words";
import { ConfigPanel } from "./ConfigPanel";
import { LogPanel } from "./LogPanel";
import { NotesCard } from "./NotesCard";
import { ResultsPanel } from "./ResultsPanel";
import { RunHeader } from "./RunHeader";
import { Empty, SamplesPanel } from "./SamplesPanel";
import { useMetrics } from "./useMetrics";

const RunCharts = dynamic(() => import("./RunCharts").then((module) => module.RunCharts), { ssr: false, loading: () => <div className="h-64 animate-pulse rounded-lg bg-sunken" /> });

const tabs = [
  { id: "curves", title: "Curves" },
  { id: "samples", title: "Samples" },
  { id: "log", title: "Log" },
  { id: "config", title: "Config" },
  { id: "results", title: "Results" },
] as const;
type Tab = (typeof tabs)[number]["id"];

/** One run, followed live. */
export function RunPage() {
  const { query } = useAddress();
  const run = readRun(query);
  if (!run) {
    return (
      <Frame>
        <Notice tone="bad" message="This address names no run." action="Choose one from the list of runs." />
        <BackToRuns />
      </Frame>
    );
  }
  return <NamedRun key={`${run.node}:${run.id}`} name={run} />;
}

function NamedRun({ name }: { name: RunName }) {
  useTrainingEvents(name);
  const run = useRun(name);
  const [deleted, setDeleted] = useState(false);
  if (deleted) {
    return (
      <Frame>
        <Deleted name={name} title={run.data?.name ?? name.id} onRestored={() => setDeleted(false)} />
      </Frame>
    );
  }
  if (run.isPending) return <p className="p-6 text-ink-2">Reading the run…</p>;
  if (run.isError && !run.data) {
    const unknown = run.error instanceof TrainingError && run.error.code === "run-unknown";
    return (
      <Frame>
        <Notice tone="bad" {...explain(run.error)}>
          {!unknown && (
            <Button icon="retry" onClick={() => void run.refetch()}>
              Try again
            </Button>
          )}
        </Notice>
        <BackToRuns />
      </Frame>
    );
  }
  return run.data ? <Followed run={run.data} onDeleted={() => setDeleted(true)} /> : null;
}

function Followed({ run, onDeleted }: { run: RunDetail; onDeleted: () => void }) {
  const { query, change } = useAddress();
  const tab: Tab = tabs.find(({ id }) => id === query.get("tab"))?.id ?? "curves";
  const everySample = numberAt(run.config, "sample_every");
  return (
    <Frame>
      <ConnectionNotice />
      <RunHeader run={run} onDeleted={onDeleted} />
      <NotesCard run={run} />
      <TabList label="Views of the run" tabs={tabs} tab={tab} onTab={(chosen) => change((next) => (chosen === "curves" ? next.delete("tab") : next.set("tab", chosen)))}>
        {tab === "curves" && <Curves run={run} />}
        {tab === "samples" && <SamplesPanel run={run} every={everySample || null} />}
        {tab === "log" && <LogPanel run={run} />}
        {tab === "config" && <ConfigPanel run={run} />}
        {tab === "results" && <ResultsPanel run={run} />}
      </TabList>
    </Frame>
  );
}

function Curves({ run }: { run: RunDetail }) {
  const [view, onView] = useChartView();
  // The controls answer at once; the charts follow when there is time.
  const drawn = useDeferredValue(view);
  const every = numberAt(run.config, "log_every");
  const stages = useMemo(() => stageMarks(run.config), [run.config]);
  // The steps in sight are found on what is known of the whole run, then asked for in detail.
  const [steps, setSteps] = useState<readonly [number, number] | null>(null);
  const metrics = useMetrics(run, view.zoom ? steps : null, every);
  const origin = metrics.answer?.first?.time ?? 0;
  const loss = metrics.series.get(keyOf("train", "loss")) ?? [...metrics.series.values()][0];
  const wanted = useMemo(() => (view.zoom && loss ? stepsWithin(loss, axisPlaces(loss, view.axis, origin), view.zoom) : null), [view.zoom, view.axis, loss, origin]);
  if (wanted && zoomChanged(steps, wanted)) setSteps(wanted);

  if (metrics.pending) return <p className="text-[13px] text-ink-2">Reading the measures…</p>;
  if (metrics.error && !metrics.answer) {
    return (
      <Notice tone="bad" {...explain(metrics.error)}>
        <Button icon="retry" onClick={metrics.refetch}>
          Try again
        </Button>
      </Notice>
    );
  }
  if (metrics.series.size === 0) return <Empty text={isActive(run.state) ? "Nothing measured yet: the first line comes when training begins." : "This run measured nothing."} />;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <ChartControls view={view} onView={onView} />
      <RunCharts name={run.name} series={metrics.series} layers={metrics.layers} origin={origin} stages={stages} view={drawn} onView={onView} />
    </div>
  );
}

/** Detail that was read makes the outer entries move a little: only a real change of the range is asked for anew. */
function zoomChanged(held: readonly [number, number] | null, wanted: readonly [number, number]): boolean {
  if (!held) return true;
  const slack = 0.02 * (wanted[1] - wanted[0]);
  const inside = wanted[0] >= held[0] - slack && wanted[1] <= held[1] + slack;
  return !inside || held[1] - held[0] > 2 * (wanted[1] - wanted[0]);
}

/** A number of the config; null if it has none of that name. */
function numberAt(config: Record<string, unknown> | null, name: string): number | null {
  const value = config?.[name];
  return typeof value === "number" ? value : null;
}

function Deleted({ name, title, onRestored }: { name: RunName; title: string; onRestored: () => void }) {
  const trash = useTrash();
  const change = useChange();
  const entry = trash.data?.entries.filter(({ node, id }) => node === name.node && id === name.id).sort((a, b) => b.deleted - a.deleted)[0];
  return (
    <>
      <Notice tone="info" message={`“${title}” is in the trash.`} action="It can be put back until the trash is emptied.">
        <Button icon="undo" disabled={!entry || change.isPending} onClick={() => entry && change.mutate({ path: `/api/training/trash/${entry.node}/${entry.entry}/restore`, method: "POST" }, { onSuccess: onRestored })}>
          Put it back
        </Button>
      </Notice>
      {change.error && <Notice tone="bad" {...explain(change.error)} />}
      <BackToRuns />
    </>
  );
}

function BackToRuns() {
  return (
    <p>
      <Link href="/train" className="text-[13px] text-accent underline underline-offset-2">
        All runs
      </Link>
    </p>
  );
}

function Frame({ children }: { children: React.ReactNode }) {
  return <div className="mx-auto grid w-full max-w-7xl grid-cols-[minmax(0,1fr)] gap-5 px-4 py-6 sm:px-6">{children}</div>;
}
