"use client";

import dynamic from "next/dynamic";
import Link from "next/link";
import { useMemo } from "react";
import { IconButton } from "@/components/ui/Button";
import { SelectField } from "@/components/ui/Field";
import { Icon } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import { explain } from "../api";
import { ConnectionNotice } from "../ConnectionNotice";
import { useTrainingEvents } from "../events";
import { MOST_COMPARED, readRuns, runHref } from "../link";
import { useRuns } from "../queries";
import { RunPattern, StateBadge } from "../RunBadges";
import { useAddress } from "../useQueryState";
import { ConfigTable } from "./ConfigTable";
import { LineSwatch } from "./LineSwatch";
import { ResultsTable } from "./ResultsTable";
import { useComparedRuns, type ComparedRun } from "./useRunMetrics";

const CompareCharts = dynamic(() => import("./CompareCharts").then((module) => module.CompareCharts), { ssr: false, loading: () => <div className="h-64 animate-pulse rounded-lg bg-sunken" /> });

/** Runs side by side: their curves over one axis, what they measured, and where their configs differ. */
export function ComparePage() {
  useTrainingEvents();
  const { query, change } = useAddress();
  const listed = query.get("runs");
  const names = useMemo(() => readRuns(listed), [listed]);
  const runs = useComparedRuns(names);
  const known = useRuns();
  const set = (next: typeof names): void => change((address) => address.set("runs", next.map(({ node, id }) => `${node}:${id}`).join(",")));
  const others = (known.data?.runs ?? []).filter(({ node, id }) => !names.some((name) => name.node === node && name.id === id));
  return (
    <div className="mx-auto grid w-full max-w-7xl grid-cols-[minmax(0,1fr)] gap-5 px-4 py-6 sm:px-6">
      <nav aria-label="Breadcrumb" className="text-xs text-ink-2">
        <Link href="/train" className="hover:underline">
          Runs
        </Link>{" "}
        <span aria-hidden>/</span> compare
      </nav>
      <h1 className="text-xl font-semibold tracking-tight">Compare runs</h1>
      <ConnectionNotice />
      <section aria-label="Compared runs" className="grid grid-cols-[minmax(0,1fr)] gap-2">
        <ul className="grid grid-cols-[minmax(0,1fr)] rounded-xl border border-line bg-surface">
          {runs.map((compared, index) => (
            <ComparedLine key={`${compared.name.node}:${compared.name.id}`} compared={compared} index={index} onRemove={() => set(names.filter((name) => name !== compared.name))} />
          ))}
          {runs.length === 0 && <li className="px-4 py-8 text-center text-[13px] text-ink-2">Add runs to see their curves over each other.</li>}
        </ul>
        {names.length < MOST_COMPARED ? (
          <div className="max-w-sm">
            <SelectField
              label="Add a run"
              value=""
              options={[{ value: "", label: others.length === 0 ? "No other runs" : "Choose…" }, ...others.map(({ node, id, name }) => ({ value: `${node}:${id}`, label: name === id ? name : `${name} (${id})` }))]}
              onChange={(chosen) => chosen !== "" && set(readRuns([...names.map(({ node, id }) => `${node}:${id}`), chosen].join(",")))}
            />
          </div>
        ) : (
          <p className="text-2xs text-ink-3">{MOST_COMPARED} runs are the most that can be told apart. Remove one to add another.</p>
        )}
      </section>
      {runs.length > 0 && (
        <>
          <CompareCharts runs={runs} />
          <ResultsTable runs={runs} />
          <ConfigTable runs={runs} />
        </>
      )}
    </div>
  );
}

function ComparedLine({ compared: { name, run, error }, index, onRemove }: { compared: ComparedRun; index: number; onRemove: () => void }) {
  return (
    <li className="border-t border-line px-4 py-2 first:border-t-0">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <LineSwatch index={index} />
        <Link href={runHref(name)} className="min-w-0 flex-1 basis-40 text-[13px] font-medium [overflow-wrap:anywhere] hover:underline">
          {run?.name ?? name.id}
        </Link>
        {run && (
          <>
            <span className="text-2xs text-ink-3">{[run.family, run.method].filter(Boolean).join(" · ")}</span>
            <span className="w-24">
              <RunPattern run={run} config={run.config} />
            </span>
            <StateBadge state={run.state} stopping={run.stopping} />
            {run.readOnly && <Icon name="lock" className="size-3 text-ink-3" />}
          </>
        )}
        <IconButton icon="close" label={`Remove ${run?.name ?? name.id}`} onClick={onRemove} />
      </div>
      {error && (
        <div className="mt-2">
          <Notice tone="bad" {...explain(error)} />
        </div>
      )}
    </li>
  );
}
