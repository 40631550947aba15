"use client";

import dynamic from "next/dynamic";
import { useShallow } from "zustand/react/shallow";
import { TabList } from "@/components/ui/TabList";
import type { ResultsFile } from "@/lib/home/results";
import type { Manifest } from "@/lib/weights/manifest";
import type { layerSeries } from "./bars";
import { JobFailure } from "./JobFailure";
import { LayersPanel } from "./LayersPanel";
import { tabs, type Tab } from "./link";
import { setsFor, type FamilyShape } from "./patterns";
import { useProbe } from "./probe";
import { look, useExplore, type Patterns } from "./session";
import { TokenPanel } from "./TokenPanel";

const waiting = () => <div className="h-64 animate-pulse rounded-lg bg-sunken" />;
const InsidePanel = dynamic(() => import("./charts/InsidePanel").then((module) => module.InsidePanel), { ssr: false, loading: waiting });
const BenefitPanel = dynamic(() => import("./charts/BenefitPanel").then((module) => module.BenefitPanel), { ssr: false, loading: waiting });

type TabsProps = {
  tab: Tab;
  layer: number;
  family: string;
  shape: FamilyShape;
  manifest: Manifest;
  patterns: Patterns;
  set: string;
  series: ReturnType<typeof layerSeries>;
  stale: { a: boolean; b: boolean };
  results: ResultsFile[];
};

/** The views of one computation. */
export function Tabs(props: TabsProps) {
  const { tab, layer } = props;
  const names: Record<Tab, string> = { text: "Token by token", layers: "Layer by layer", inside: `Inside layer ${layer}`, benefit: "What it buys" };
  return (
    <TabList label="Views" tabs={tabs.map((id) => ({ id, title: names[id] }))} tab={tab} onTab={(chosen) => look({ tab: chosen })}>
      <Panel {...props} />
    </TabList>
  );
}

function Panel({ tab, layer, family, shape, manifest, patterns, set, series, stale, results }: TabsProps) {
  const { a, b, text, inside, current, insideJob, points, status } = useProbe(
    useShallow(({ a, b, text, inside, wanted, done, jobs, points, status }) => ({
      a,
      b,
      text,
      inside,
      current: inside !== null && wanted.inside !== null && wanted.inside === done.inside,
      insideJob: jobs.inside,
      points,
      status,
    })),
  );
  const head = useExplore((state) => state.head);
  // Under A/B the layers shown are those of the pattern that is edited.
  const edited = useExplore((state) => state.editing === "b" && patterns.b) || patterns.a;
  switch (tab) {
    case "text":
      return a ? <TokenPanel a={a} b={patterns.b ? b : null} stale={stale.a} family={family} /> : <Empty text="The text appears here token by token, coloured by what each prediction costs." />;
    case "layers":
      return <LayersPanel shape={shape} pattern={edited} set={set} series={series} selected={layer} />;
    case "inside": {
      if (setsFor(shape, layer).length === 0) return <Empty text={`No mixer set has a Mamba mixer for layer ${layer}. Choose another layer on the strip.`} />;
      if (status !== "ready") return <Empty text="Load the model to look inside its layers." />;
      return (
        <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
          {insideJob.cancelled && <JobFailure job="inside" />}
          <InsidePanel inside={current ? inside : null} head={head} onHead={(next) => look({ head: next })} pieces={text?.pieces ?? []} loading={!current && insideJob.error === null} error={insideJob.error} name={`${family}-layer${layer}`} />
        </div>
      );
    }
    case "benefit":
      return (
        <BenefitPanel
          family={family}
          architecture={manifest.architecture}
          mixerSets={manifest.mixer_sets}
          patternA={patterns.a}
          patternB={patterns.b}
          contextTokens={text?.tokens.length ?? 256}
          ownPoints={points}
          results={results}
          variants={shape.variants}
        />
      );
  }
}

function Empty({ text }: { text: string }) {
  return <p className="rounded-lg border border-dashed border-line-strong px-4 py-10 text-center text-[13px] text-ink-2">{text}</p>;
}
