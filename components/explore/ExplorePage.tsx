"use client";

import { useEffect, useMemo, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { preferredFamily, useBundles } from "@/components/bundles";
import { NoFamily } from "@/components/NoFamily";
import { Button } from "@/components/ui/Button";
import { Disclosure } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { ShareLink } from "@/components/ui/ShareLink";
import { SidePanel } from "@/components/ui/SidePanel";
import type { ListedFamily } from "@/lib/home/listing";
import type { ResultsFile } from "@/lib/home/results";
import type { Manifest } from "@/lib/weights/manifest";
import { layerSeries } from "./bars";
import { CostCard } from "./CostCard";
import { ModelCard } from "./ModelCard";
import { shapeOf, type FamilyShape } from "./patterns";
import { useProbe } from "./probe";
import { SavedCard } from "./SavedCard";
import { dismissProblems, openFamily, paintingSet, patternsOf, redoEdit, textOf, undoEdit, useExplore } from "./session";
import { StripCard } from "./StripCard";
import { Tabs } from "./Tabs";
import { TextCard } from "./TextCard";
import { linkOf, useLink } from "./useLink";
import { manifestAction, useManifest } from "./useManifest";
import { useWanted } from "./useWanted";

/** The layer explorer: model and text at the left, the layers and what they cost at the right. */
export function ExplorePage({ results }: { results: ResultsFile[] }) {
  useLink();
  useKeys();
  const bundles = useBundles();
  const families = useMemo(() => bundles.data?.families ?? [], [bundles.data]);
  const wanted = useExplore((state) => state.family);
  const restored = useExplore((state) => state.restored);
  const shape = useExplore((state) => state.shape);
  const family = families.find((candidate) => candidate.family === wanted) ?? preferredFamily(families);
  const manifest = useManifest(restored ? (family?.family ?? null) : null);

  useEffect(() => {
    if (manifest.data) openFamily(shapeOf(manifest.data));
  }, [manifest.data]);

  if (bundles.isError || bundles.isPending || !restored || !family) return <NoFamily bundles={bundles} waiting={!restored} />;
  const open = manifest.data && shape?.family === family.family ? { manifest: manifest.data, shape } : null;
  return (
    <Workbench families={families} family={family} open={open} unknown={wanted !== null && wanted !== family.family ? wanted : null} results={results}>
      {manifest.isError && (
        <Notice tone="bad" message={manifest.error.message} action={manifestAction(manifest.error)}>
          <Button icon="retry" onClick={() => void manifest.refetch()}>
            Try again
          </Button>
        </Notice>
      )}
    </Workbench>
  );
}

type WorkbenchProps = {
  families: ListedFamily[];
  family: ListedFamily;
  open: { manifest: Manifest; shape: FamilyShape } | null;
  /** A family that the link names and that is not here. */
  unknown: string | null;
  results: ResultsFile[];
  children: React.ReactNode;
};

function Workbench({ families, family, open, unknown, results, children }: WorkbenchProps) {
  const state = useExplore();
  // Progress is left out: it changes often, and is shown where it belongs.
  const probe = useProbe(useShallow(({ status, a, b, wanted, done, distances, sweep }) => ({ status, a, b, wanted, done, distances, sweep })));
  const [chosenOpen, setPanelOpen] = useState<boolean | null>(null);
  // On a narrow screen the panel makes room for the layers once there is a model.
  const panelOpen = chosenOpen ?? (probe.status === "empty" || probe.status === "failed");
  const shape = open?.shape ?? null;
  const patterns = shape ? patternsOf(state) : null;
  const { id, text } = textOf(state, family.family, family.chat);
  const set = paintingSet(state);
  const sweep = useWanted({ family, shape, provider: state.provider, patterns, set, text, layer: state.layer, tab: state.tab });
  const series = useMemo(() => layerSeries(shape?.layers ?? 0, probe.distances, probe.sweep), [shape, probe.distances, probe.sweep]);
  const stale = { a: probe.wanted.a !== probe.done.a || probe.wanted.a === null, b: probe.wanted.b !== probe.done.b || probe.wanted.b === null };
  const problems = [...(unknown ? [`There is no family "${unknown}" here; ${family.title} is shown instead.`] : []), ...state.problems];

  return (
    <div className="grid flex-1 grid-cols-[minmax(0,1fr)] content-start lg:h-[calc(100dvh-49px)] lg:flex-none lg:grid-cols-[19rem_minmax(0,1fr)] lg:grid-rows-1">
      <SidePanel label="Model and text" id="explore-panel" open={panelOpen} onOpen={setPanelOpen} title="Model and text" aside={family.title} className="gap-4 px-4 pt-1 pb-4 lg:px-5 lg:pt-4">
        <ModelCard families={families} family={family} provider={state.provider} />
        <div className="mt-5 mb-4">
          <TextCard id={id} text={text} />
        </div>
        {shape && (
          <Disclosure title="Saved configurations" aside={state.saved.length || ""} open>
            <SavedCard shape={shape} />
          </Disclosure>
        )}
      </SidePanel>
      <div className="relative min-w-0 lg:min-h-0 lg:overflow-y-auto">
        <div className="mx-auto grid max-w-6xl grid-cols-[minmax(0,1fr)] gap-4 px-4 py-4 sm:px-6 sm:py-5">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="text-base font-semibold tracking-tight">Explore</h1>
            <p className="min-w-0 truncate text-[13px] text-ink-2 max-sm:hidden">Swap attention for Mamba, layer by layer, and see what it costs and buys.</p>
            <CopyLink />
          </div>
          {problems.length > 0 && (
            <Notice
              tone="warn"
              message={problems.length === 1 ? (problems[0] ?? "") : "Parts of this could not be used:"}
              action={problems.length === 1 ? "Everything else is shown. The address stays as it was until you close this." : undefined}
            >
              {problems.length > 1 && (
                <>
                  <ul className="w-full list-disc pl-4 text-ink-2 [overflow-wrap:anywhere]">
                    {problems.map((problem) => (
                      <li key={problem}>{problem}</li>
                    ))}
                  </ul>
                  <p className="w-full text-ink-2">Everything else is shown. The address stays as it was until you close this.</p>
                </>
              )}
              <Button onClick={() => (unknown ? useExplore.setState({ family: family.family, problems: [] }) : dismissProblems())}>Close</Button>
            </Notice>
          )}
          {children}
          {shape && patterns && open && (
            <>
              <StripCard shape={shape} provider={state.provider} series={series} onSweep={sweep} />
              <CostCard a={probe.a} b={patterns.b ? probe.b : null} stale={stale} comparing={patterns.b !== null} />
              <Tabs tab={state.tab} layer={state.layer} family={family.family} shape={shape} manifest={open.manifest} patterns={patterns} set={set} series={series} stale={stale} results={results} />
            </>
          )}
        </div>
      </div>
    </div>
  );
}

function CopyLink() {
  const state = useExplore();
  const complete = typeof window === "undefined" || linkOf(state).complete;
  return <ShareLink left={complete ? null : "The text is too long for a link and stays here."} address={() => linkOf(useExplore.getState()).address} />;
}

/** Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y) undo and redo changes of the patterns, except while text is edited. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { target } = event;
      if (target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))) return;
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) redoEdit();
      else undoEdit();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
