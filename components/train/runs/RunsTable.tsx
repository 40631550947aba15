"use client";

import Link from "next/link";
import { memo } from "react";
import { Icon } from "@/components/ui/Icon";
import type { RunSummary } from "@/lib/training/types";
import { runHref } from "../link";
import { RunPattern, RunProgress, Sparkline, StateBadge, Tag } from "../RunBadges";
import { describeMethod, formatDate, formatLarge, formatMeasure, formatSpan } from "../words";
import { durationOf, quality, type Column, type Sort } from "./rows";

type RunsTableProps = {
  runs: readonly RunSummary[];
  nodeNames: ReadonlyMap<string, string>;
  sort: Sort;
  onSort: (sort: Sort) => void;
  selected: ReadonlySet<string>;
  onSelect: (keys: ReadonlySet<string>) => void;
  now: number;
};

export const runKey = ({ node, id }: { node: string; id: string }): string => `${node}:${id}`;

const heads: readonly { column: Column | null; text: string; className?: string; hint?: string }[] = [
  { column: "name", text: "Run" },
  { column: "state", text: "State" },
  { column: "progress", text: "Progress" },
  { column: null, text: "Layers" },
  { column: "kl", text: "KL or loss", className: "text-right", hint: "Best evaluation, and the newest value in training below it" },
  { column: null, text: "Loss" },
  { column: "tokens", text: "Tokens", className: "text-right" },
  { column: "speed", text: "Tokens/s", className: "text-right" },
  { column: "started", text: "Started" },
  { column: "duration", text: "Took", className: "text-right" },
];

/** The runs, one a row; on a narrow screen one a card. */
export function RunsTable({ runs, nodeNames, sort, onSort, selected, onSelect, now }: RunsTableProps) {
  const all = runs.length > 0 && runs.every((run) => selected.has(runKey(run)));
  const some = runs.some((run) => selected.has(runKey(run)));
  return (
    <div className="overflow-x-auto rounded-xl border border-line bg-surface max-lg:border-0 max-lg:bg-transparent" role="region" aria-label="Runs" tabIndex={0}>
      <table className="w-full text-[13px] max-lg:block">
        <thead className="text-left text-2xs text-ink-3 max-lg:sr-only">
          <tr>
            <th className="w-9 py-2 pl-4">
              <input
                type="checkbox"
                aria-label="Select all runs shown"
                checked={all}
                ref={(element) => {
                  if (element) element.indeterminate = some && !all;
                }}
                onChange={() => onSelect(all ? new Set() : new Set(runs.map(runKey)))}
                className="block size-3.5 accent-[var(--accent)]"
              />
            </th>
            {heads.map(({ column, text, className = "", hint }) => {
              const current = column !== null && sort.column === column;
              return (
                <th key={text} scope="col" aria-sort={current ? (sort.down ? "descending" : "ascending") : undefined} className={`px-2 py-2 font-normal whitespace-nowrap ${className}`}>
                  {column === null ? (
                    text
                  ) : (
                    <button type="button" title={hint} onClick={() => onSort({ column, down: current ? !sort.down : column !== "name" && column !== "kl" })} className={`inline-flex items-center gap-1 hover:text-ink ${current ? "text-ink" : ""}`}>
                      {text}
                      <Icon name="chevron" className={`size-2.5 ${current ? "" : "opacity-0"} ${sort.down ? "rotate-90" : "-rotate-90"}`} />
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody className="max-lg:grid max-lg:grid-cols-[minmax(0,1fr)] max-lg:gap-3">
          {runs.map((run) => (
            <Row key={runKey(run)} run={run} node={nodeNames.get(run.node) ?? run.node} selected={selected.has(runKey(run))} onSelect={onSelect} selection={selected} now={run.state === "running" ? now : 0} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

type RowProps = { run: RunSummary; node: string; selected: boolean; selection: ReadonlySet<string>; onSelect: (keys: ReadonlySet<string>) => void; now: number };

const cell = "px-2 py-2.5 align-top max-lg:block max-lg:px-0 max-lg:py-0";
const number = `${cell} tabular text-right whitespace-nowrap max-lg:text-left`;

const Row = memo(function Row({ run, node, selected, selection, onSelect, now }: RowProps) {
  const { name, last, best } = quality(run);
  const main = best ?? last;
  const took = durationOf(run, now);
  const toggle = (): void => {
    const next = new Set(selection);
    if (!next.delete(runKey(run))) next.add(runKey(run));
    onSelect(next);
  };
  return (
    <tr data-run={run.id} className={`border-t border-line max-lg:grid max-lg:grid-cols-2 max-lg:gap-x-4 max-lg:gap-y-2.5 max-lg:rounded-xl max-lg:border max-lg:bg-surface max-lg:p-4 ${selected ? "bg-accent-soft/60" : ""}`}>
      <td className="py-3 pl-4 align-top max-lg:absolute max-lg:hidden">
        <input type="checkbox" aria-label={`Select ${run.name}`} checked={selected} onChange={toggle} className="block size-3.5 accent-[var(--accent)]" />
      </td>
      <th scope="row" className={`${cell} min-w-56 text-left font-normal max-lg:col-span-2`}>
        <span className="flex items-baseline gap-2">
          <input type="checkbox" aria-label={`Select ${run.name}, for comparing`} checked={selected} onChange={toggle} className="size-3.5 shrink-0 translate-y-0.5 accent-[var(--accent)] lg:hidden" />
          <Link href={runHref(run)} className="font-medium [overflow-wrap:anywhere] hover:underline">
            {run.name}
          </Link>
          {run.readOnly && (
            <span title="Ships with the project: read-only" className="translate-y-0.5 text-ink-3">
              <Icon name="lock" className="size-3" />
              <span className="sr-only">read-only</span>
            </span>
          )}
        </span>
        <span className="block text-2xs text-ink-3">
          {[describeMethod(run.method), run.family, run.readOnly ? null : node].filter(Boolean).join(" · ")}
          {run.stale && " · not reached"}
        </span>
        {run.tags.length > 0 && <span className="mt-1 flex flex-wrap gap-1">{run.tags.map((tag) => <Tag key={tag} text={tag} />)}</span>}
      </th>
      <td className={cell}>
        <StateBadge state={run.state} stopping={run.stopping} />
        {run.message && run.state !== "finished" && <span title={run.message} className="line-clamp-1 max-w-40 text-2xs text-ink-3">{run.message}</span>}
      </td>
      <td className={`${cell} w-40 min-w-32 lg:pt-3.5`}>
        <RunProgress run={run} />
      </td>
      <td className={`${cell} w-28 min-w-24 lg:pt-3`}>
        <RunPattern run={run} />
      </td>
      <td className={number}>
        <span className="text-2xs text-ink-3">{main === null ? "" : `${name} `}</span>
        {main === null ? "–" : formatMeasure(main)}
        {best !== null && last !== null && <span className="block text-2xs text-ink-3 max-lg:ml-2 max-lg:inline">now {formatMeasure(last)}</span>}
      </td>
      <td className={`${cell} max-lg:col-start-2`}>
        <Sparkline values={run.curve ?? []} label={`Loss of ${run.name} over the run`} />
      </td>
      <td className={`${number} max-lg:before:text-2xs max-lg:before:text-ink-3 max-lg:before:content-['tokens_']`}>{formatLarge(run.tokens)}</td>
      <td className={`${number} max-lg:before:text-2xs max-lg:before:text-ink-3 max-lg:before:content-['tokens/s_']`}>{run.latest.tokens_per_second === undefined ? "–" : formatLarge(run.latest.tokens_per_second)}</td>
      <td className={`${cell} tabular text-xs whitespace-nowrap text-ink-2`}>{formatDate(run.started ?? run.created)}</td>
      <td className={`${number} text-xs text-ink-2 lg:pr-4`}>{took === null ? "–" : formatSpan(took)}</td>
    </tr>
  );
});
