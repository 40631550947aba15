"use client";

import Link from "next/link";
import { useMemo, useState } from "react";
import { Button } from "@/components/ui/Button";
import { SelectField } from "@/components/ui/Field";
import { Icon } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import { PageHeading } from "@/components/ui/PageHeading";
import type { RunState, RunSummary } from "@/lib/training/types";
import { explain, runPath, tell, TrainingError } from "../api";
import { Confirm } from "../Confirm";
import { ConnectionNotice } from "../ConnectionNotice";
import { useTrainingEvents } from "../events";
import { compareHref, MOST_COMPARED } from "../link";
import { useNodes, useRuns, useTrash } from "../queries";
import { useNow } from "../run/RunHeader";
import { useAddress } from "../useQueryState";
import { isActive, stateLooks } from "../words";
import { NodesStrip } from "./NodesStrip";
import { arrange, noFilter, readTable, writeTable, type Filter, type Sort } from "./rows";
import { runKey, RunsTable } from "./RunsTable";
import { TrashView } from "./TrashView";
import { useQueryClient } from "@tanstack/react-query";
import { keys } from "../keys";

/** All runs of all nodes. */
export function RunsPage() {
  useTrainingEvents();
  const { query, change } = useAddress();
  const nodes = useNodes();
  const runs = useRuns();
  const showsTrash = query.get("view") === "trash";
  const trash = useTrash(runs.isSuccess);
  const nodeNames = useMemo(() => new Map(nodes.data?.nodes.map(({ id, name }) => [id, name])), [nodes.data]);
  const active = useMemo(() => countActive(runs.data?.runs ?? []), [runs.data]);
  return (
    <div className="mx-auto grid w-full max-w-[90rem] grid-cols-[minmax(0,1fr)] gap-5 px-4 py-6 sm:px-6">
      <div className="flex flex-wrap items-start gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-72">
          <PageHeading title="Train">Distil hybrids on this machine or on a GPU node, and follow them live.</PageHeading>
        </div>
        <div className="flex flex-wrap gap-2">
          <Link href="/train/nodes" className="inline-flex h-8 items-center gap-1.5 rounded-md border border-line-strong bg-surface px-3 text-[13px] font-medium hover:bg-sunken">
            <Icon name="server" />
            Nodes
          </Link>
          <Link href="/train/new" className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 text-[13px] font-medium text-canvas hover:bg-ink/85">
            <Icon name="plus" />
            New run
          </Link>
        </div>
      </div>
      <ConnectionNotice />
      {nodes.isError && !nodes.data ? <Notice tone="bad" {...explain(nodes.error)} /> : <NodesStrip nodes={nodes.data?.nodes ?? []} runs={active} />}
      <div className="flex items-center gap-4 border-b border-line text-[13px]">
        {(
          [
            ["runs", `Runs ${runs.data ? runs.data.runs.length : ""}`],
            ["trash", `Trash ${trash.data ? trash.data.entries.length : ""}`],
          ] as const
        ).map(([view, text]) => (
          <button
            key={view}
            type="button"
            aria-current={(view === "trash") === showsTrash ? "page" : undefined}
            onClick={() => change((next) => (view === "trash" ? next.set("view", "trash") : next.delete("view")))}
            className="tabular -mb-px border-b-2 border-transparent py-2 text-ink-2 -outline-offset-2 hover:text-ink aria-[current]:border-ink aria-[current]:font-medium aria-[current]:text-ink"
          >
            {text}
          </button>
        ))}
      </div>
      {showsTrash ? (
        <TrashView nodeNames={nodeNames} />
      ) : runs.isPending ? (
        <div className="h-64 animate-pulse rounded-xl bg-sunken" role="status" aria-label="Reading the runs" />
      ) : runs.isError && !runs.data ? (
        <Notice tone="bad" {...explain(runs.error)}>
          <Button icon="retry" onClick={() => void runs.refetch()}>
            Try again
          </Button>
        </Notice>
      ) : (
        <Runs runs={runs.data?.runs ?? []} nodeNames={nodeNames} />
      )}
    </div>
  );
}

function Runs({ runs, nodeNames }: { runs: readonly RunSummary[]; nodeNames: ReadonlyMap<string, string> }) {
  const { query, change } = useAddress();
  const { sort, filter } = useMemo(() => readTable(query), [query]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const now = useNow(runs.some(({ state }) => isActive(state)));
  const set = (next: { sort?: Sort; filter?: Partial<Filter> }): void => change((address) => {
      const now = readTable(address);
      writeTable(address, { sort: next.sort ?? now.sort, filter: { ...now.filter, ...next.filter } });
    });
  const shown = arrange(runs, filter, sort, Math.floor(now));
  const tags = [...new Set(runs.flatMap((run) => run.tags))].sort();
  const selected = new Set(runs.map(runKey).filter((key) => chosen.has(key)));
  const narrowed = filter.search !== "" || filter.state !== null || filter.node !== null || filter.tag !== null;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-end gap-3">
        <div className="grid gap-1 max-sm:w-full">
          <label htmlFor="runs-search" className="text-xs text-ink-2">
            Search
          </label>
          <input id="runs-search" type="search" value={filter.search} onChange={(event) => set({ filter: { search: event.target.value } })} placeholder="Name, family, method, tag" className="h-8 w-full rounded-md border border-line-strong bg-surface px-2.5 text-[13px] placeholder:text-ink-3 sm:w-60" />
        </div>
        <SelectField
          label="State"
          value={filter.state ?? "any"}
          options={[{ value: "any", label: "Any" }, { value: "active", label: "Under way" }, ...(Object.keys(stateLooks) as RunState[]).map((state) => ({ value: state, label: stateLooks[state].word }))]}
          onChange={(state) => set({ filter: { state: state === "any" ? null : state } })}
        />
        <SelectField label="Node" value={filter.node ?? ""} options={[{ value: "", label: "Any" }, ...[...nodeNames].map(([value, label]) => ({ value, label }))]} onChange={(node) => set({ filter: { node: node || null } })} />
        {tags.length > 0 && <SelectField label="Tag" value={filter.tag ?? ""} options={[{ value: "", label: "Any" }, ...tags.map((tag) => ({ value: tag, label: tag }))]} onChange={(tag) => set({ filter: { tag: tag || null } })} />}
        <p role="status" className="tabular ml-auto pb-1.5 text-2xs text-ink-3">
          {narrowed ? `${shown.length} of ${runs.length} runs` : `${runs.length} runs`}
        </p>
      </div>
      {runs.length === 0 ? (
        <div className="grid place-items-center gap-3 rounded-xl border border-dashed border-line-strong px-4 py-14 text-center text-[13px] text-ink-2">
          <p>No runs yet. The quick demo distils a small hybrid on this machine in about two minutes.</p>
          <Link href="/train/new" className="text-accent underline underline-offset-2">
            Start the first run
          </Link>
        </div>
      ) : shown.length === 0 ? (
        <div className="grid place-items-center gap-3 rounded-xl border border-dashed border-line-strong px-4 py-14 text-center text-[13px] text-ink-2">
          <p>No run fits the search.</p>
          <Button onClick={() => set({ filter: noFilter })}>Show all runs</Button>
        </div>
      ) : (
        <RunsTable runs={shown} nodeNames={nodeNames} sort={sort} onSort={(next) => set({ sort: next })} selected={selected} onSelect={setChosen} now={now} />
      )}
      {selected.size > 0 && <Selection runs={runs.filter((run) => selected.has(runKey(run)))} onDone={() => setChosen(new Set())} />}
    </div>
  );
}

/** What can be done with the selected runs together. */
function Selection({ runs, onDone }: { runs: readonly RunSummary[]; onDone: () => void }) {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const [work, setWork] = useState<{ done: number; failures: string[] } | null>(null);
  const removable = runs.filter((run) => !run.readOnly && !isActive(run.state));
  const compared = runs.slice(0, MOST_COMPARED);
  const remove = async (): Promise<void> => {
    setAsking(false);
    const failures: string[] = [];
    for (const [index, run] of removable.entries()) {
      setWork({ done: index, failures });
      await tell(runPath(run.node, run.id), { method: "DELETE" }).catch((error: unknown) => failures.push(`${run.name}: ${error instanceof TrainingError ? error.message : String(error)}`));
    }
    await Promise.all([keys.runs, keys.trash].map((queryKey) => queries.invalidateQueries({ queryKey })));
    setWork(failures.length > 0 ? { done: removable.length, failures } : null);
    if (failures.length === 0) onDone();
  };
  return (
    <div className="sticky bottom-3 z-10 grid grid-cols-[minmax(0,1fr)] gap-2" data-testid="selection">
      <div className="flex flex-wrap items-center gap-2 rounded-lg border border-accent/40 bg-accent-soft px-3 py-2 text-[13px] shadow-lg">
        <span className="tabular mr-1">{runs.length} selected</span>
        <Link href={compareHref(compared)} className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 text-[13px] font-medium text-canvas hover:bg-ink/85">
          <Icon name="curves" />
          {runs.length > MOST_COMPARED ? `Compare the first ${MOST_COMPARED}` : "Compare"}
        </Link>
        <Button look="danger" icon="trash" disabled={removable.length === 0 || (work !== null && work.failures.length === 0)} title={removable.length < runs.length ? "Runs that are under way or ship with the project stay" : undefined} onClick={() => setAsking(true)}>
          {removable.length === runs.length ? "Move to the trash" : `Move ${removable.length} to the trash`}
        </Button>
        <Button look="ghost" onClick={onDone}>
          Clear
        </Button>
      </div>
      {work && work.failures.length > 0 && <Notice tone="bad" message={`Not moved: ${work.failures.join(" ")}`} />}
      {asking && (
        <Confirm title={`Move ${removable.length} ${removable.length === 1 ? "run" : "runs"} to the trash?`} confirm="Move to the trash" danger onClose={() => setAsking(false)} onConfirm={() => void remove()}>
          <p>{removable.map(({ name }) => name).join(", ")}.</p>
          <p>They can be put back until the trash is emptied.{removable.length < runs.length && " Runs that are under way or ship with the project stay."}</p>
        </Confirm>
      )}
    </div>
  );
}

function countActive(runs: readonly RunSummary[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { node, state } of runs) counts.set(node, (counts.get(node) ?? 0) + (isActive(state) ? 1 : 0));
  return counts;
}
