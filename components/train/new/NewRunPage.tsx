"use client";

import { useEffect, useMemo, useState } from "react";
import Link from "next/link";
import { useBundles } from "@/components/bundles";
import { useManifest } from "@/components/explore/useManifest";
import { IconButton } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { isObject } from "@/lib/training/config/document";
import { matters, fieldsByPath, sectionIds, situationOf } from "@/lib/training/config/fields";
import { findPreset } from "@/lib/training/config/presets";
import { checkConfig, hasErrors } from "@/lib/training/config/validate";
import type { ConfigDocument, ConfigProblem } from "@/lib/training/types";
import { useTrainingEvents } from "../events";
import { useNodes } from "../queries";
import { explain } from "../api";
import { CommandsCard } from "./CommandsCard";
import { redoDraft, setField, undoDraft, useDraft } from "./draft";
import { EstimateCard } from "./EstimateCard";
import { FormSection } from "./FormSection";
import { JsonEditor } from "./JsonEditor";
import { LaunchCard } from "./LaunchCard";
import { LayerPattern } from "./LayerPattern";
import { NodeCard } from "./NodeCard";
import { PresetGallery } from "./PresetGallery";
import { StageTabs } from "./StageTabs";
import { StartSources } from "./StartSources";
import { TeacherField } from "./TeacherField";
import { useStart } from "./useStart";

/** A new run: where it starts from, where it goes, its config, what it will take. */
export function NewRunPage() {
  const { problem, loading } = useStart();
  useTrainingEvents();
  useUndoKeys();
  const history = useDraft((state) => state.history);
  const chosenStage = useDraft((state) => state.stage);
  const [view, setView] = useState<"form" | "json">("form");
  const nodes = useNodes();
  const bundles = useBundles();
  const draft = history.present;
  const { config } = draft;
  const family = typeof config.family === "string" ? config.family : null;
  const known = bundles.data?.families.some((one) => one.family === family) ?? false;
  const manifest = useManifest(known ? family : null);
  const teacher = manifest.data && manifest.data.family === family ? manifest.data.architecture : null;
  const checked = useMemo(() => checkConfig(config, teacher), [config, teacher]);
  const preset = draft.preset === null ? undefined : findPreset(draft.preset);
  const node = nodes.data?.nodes.find(({ id }) => id === draft.node);

  const stages = Array.isArray(config.stages) ? config.stages : null;
  const stage = stages && chosenStage !== null && chosenStage < stages.length ? chosenStage : null;
  const own = stage === null ? config : objectOr(stages?.[stage]);
  const shared = stage === null ? {} : config;
  const problems = stage === null ? checked.problems : checked.problems.flatMap((one) => inStage(one, stage));

  if (loading) return <p className="p-6 text-ink-2">{problem ? problem.message : "Reading the form…"}</p>;
  const situation = situationOf({ ...shared, ...own });
  const layersField = fieldsByPath.get("layers");
  const layers = Array.isArray(own.layers) ? own.layers : Array.isArray(shared.layers) ? shared.layers : [];
  const eachHasMethod = stages?.every((one) => objectOr(one).method !== undefined) ?? false;
  const withStrip = (manifest.data !== undefined || manifest.isLoading || bundles.isPending) && layersField !== undefined && matters(layersField, situation) && config.stepwise === undefined;

  return (
    <div className="mx-auto w-full max-w-[90rem] px-4 py-5 sm:px-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <div className="min-w-0">
          <p className="text-xs text-ink-3">
            <Link href="/train" className="underline underline-offset-2 hover:text-ink">
              Train
            </Link>
          </p>
          <h1 className="text-xl font-semibold tracking-tight">New run</h1>
        </div>
        <div className="ml-auto flex items-center gap-1">
          <div role="group" aria-label="View" className="flex rounded-md border border-line bg-sunken p-0.5">
            {(["form", "json"] as const).map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={view === name}
                onClick={() => setView(name)}
                className="h-6 rounded-[5px] px-2.5 text-xs text-ink-2 aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-ink aria-pressed:shadow-sm"
              >
                {name === "form" ? "Form" : "JSON"}
              </button>
            ))}
          </div>
          <IconButton icon="undo" label="Undo (Ctrl+Z)" disabled={history.past.length === 0} onClick={undoDraft} />
          <IconButton icon="redo" label="Redo (Ctrl+Shift+Z)" disabled={history.future.length === 0} onClick={redoDraft} />
        </div>
      </div>
      {problem && (
        <div className="mt-3">
          <Notice tone="warn" {...problem} />
        </div>
      )}
      <div className="mt-4 grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_21rem]">
        <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
          <PresetGallery current={draft.preset} />
          {draft.from !== null && <Notice tone="info" message={`A copy of the run ${draft.from.split(":")[1] ?? draft.from}. What you change here leaves that run as it is.`} />}
          {preset && preset.needs.length > 0 && (
            <Notice tone="warn" message="Before this can run, it needs:" action={preset.needs.join(" ")} />
          )}
          {preset?.gpu && node?.facts?.gpus.length === 0 && (
            <Notice tone="warn" message="This preset is made for a GPU, and the chosen node has none." action="Choose another node, or take fewer steps and a smaller batch." />
          )}
          <NodeCard draft={draft} nodes={nodes.data?.nodes ?? []} node={node} />
          {nodes.isError && <Notice tone="bad" {...explain(nodes.error)} />}
          <StageTabs config={config} stage={stage} />
          {view === "json" ? (
            <JsonEditor config={config} />
          ) : (
            sectionIds.map((section) => (
              <FormSection key={`${section} ${stage}`} section={section} own={own} shared={shared} problems={problems} without={["family", ...(withStrip ? ["layers"] : []), ...(stage === null && eachHasMethod ? ["method"] : [])]}>
                {section === "mixer" && situation.method !== "pretrain" && <StartSources node={draft.node} family={family} manifest={manifest.data} value={own.mixer} />}
                {section === "layers" && (
                  <>
                    <TeacherField config={config} families={bundles.data?.families ?? []} problem={bundles.isError ? bundles.error.message : null} />
                    {withStrip && !manifest.data && <div className="mt-3 h-20 animate-pulse rounded-md bg-sunken" />}
                    {withStrip && manifest.data && <LayerPattern manifest={manifest.data} layers={layers.filter((one): one is number => typeof one === "number")} onChange={(wanted) => setField("layers", wanted)} />}
                    {withStrip && <FieldProblems problems={problems.filter(({ path }) => path === "layers")} />}
                  </>
                )}
              </FormSection>
            ))
          )}
        </div>
        <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:sticky lg:top-16">
          <EstimateCard draft={draft} stages={checked.stages} teacher={teacher} reading={manifest.isLoading || bundles.isPending} node={node} />
          <LaunchCard draft={draft} problems={checked.problems} complete={!hasErrors(checked.problems)} />
          <CommandsCard draft={draft} stages={checked.stages} preset={preset} gpus={node?.facts?.gpus.length ?? null} />
        </div>
      </div>
    </div>
  );
}

function FieldProblems({ problems }: { problems: readonly ConfigProblem[] }) {
  return problems.map(({ message }) => (
    <p key={message} className="text-2xs font-medium text-bad">
      {message}
    </p>
  ));
}

const objectOr = (value: unknown): ConfigDocument => (isObject(value) ? value : {});

/** A problem at a stage's own field, by the field's path. */
function inStage(problem: ConfigProblem, stage: number): ConfigProblem[] {
  const prefix = `stages.${stage}.`;
  return problem.path.startsWith(prefix) ? [{ ...problem, path: problem.path.slice(prefix.length) }] : [];
}

/** Ctrl+Z and Ctrl+Shift+Z, but where text is typed: there they are the browser's. */
function useUndoKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
      if (event.target instanceof HTMLElement && event.target.matches("input[type=text], textarea")) return;
      event.preventDefault();
      if (event.shiftKey) redoDraft();
      else undoDraft();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
