"use client";

import Link from "next/link";
import { useEffect, useState } from "react";
import { Icon } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import type { RunDetail } from "@/lib/training/types";
import { RunPattern, RunProgress, StateBadge } from "../RunBadges";
import { useNodes } from "../queries";
import { describeMethod, formatAgo, formatDate, formatLarge, formatMeasure, formatSpan, isActive } from "../words";
import { RunActions } from "./RunActions";

/** What a run is, how it stands, and what can be done with it. */
export function RunHeader({ run, onDeleted }: { run: RunDetail; onDeleted: () => void }) {
  const nodes = useNodes();
  const now = useNow(isActive(run.state));
  const node = nodes.data?.nodes.find(({ id }) => id === run.node);
  const facts: [string, string][] = [
    ["Node", node?.name ?? run.node],
    ["Launcher", run.launcher ?? "–"],
    ["Family", run.family ?? "–"],
    ["Method", describeMethod(run.method)],
    ["Tokens", formatLarge(run.tokens)],
    ["Throughput", run.latest.tokens_per_second === undefined ? "–" : `${formatLarge(run.latest.tokens_per_second)}/s`],
    ["Started", formatDate(run.started ?? run.created)],
    [isActive(run.state) ? "Running for" : "Took", run.started === null ? "–" : formatSpan((isActive(run.state) ? now : run.updated) - run.started)],
  ];
  return (
    <header className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <nav aria-label="Breadcrumb" className="text-xs text-ink-2">
        <Link href="/train" className="hover:underline">
          Runs
        </Link>{" "}
        <span aria-hidden>/</span> {node?.name ?? run.node}
      </nav>
      <div className="flex flex-wrap items-start gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-72">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="text-xl font-semibold tracking-tight [overflow-wrap:anywhere]">{run.name}</h1>
            <span data-testid="run-state" data-state={run.state}>
              <StateBadge state={run.state} stopping={run.stopping} />
            </span>
            {run.readOnly && (
              <span className="inline-flex items-center gap-1 text-2xs text-ink-3">
                <Icon name="lock" className="size-3" /> ships with the project, read-only
              </span>
            )}
          </div>
          <p className="mt-0.5 font-mono text-2xs text-ink-3 [overflow-wrap:anywhere]">{run.id}</p>
        </div>
        <RunActions run={run} onDeleted={onDeleted} />
      </div>
      {run.stale && <Notice tone="warn" message="The node cannot be reached: this is what was last seen." action="The run goes on without the dashboard, and is followed again when the node answers." />}
      {run.message && run.state !== "finished" && <Notice tone={run.state === "failed" ? "bad" : "warn"} message={run.message} {...(run.action && { action: run.action })} />}
      <div className="grid gap-x-8 gap-y-4 rounded-xl border border-line bg-surface p-4 sm:p-5 md:grid-cols-[minmax(0,1fr)_minmax(0,20rem)]">
        <dl className="tabular grid grid-cols-2 gap-x-6 gap-y-3 text-[13px] sm:grid-cols-4">
          {facts.map(([name, value]) => (
            <div key={name} className="min-w-0">
              <dt className="text-2xs text-ink-3">{name}</dt>
              <dd className="[overflow-wrap:anywhere]">{value}</dd>
            </div>
          ))}
        </dl>
        <div className="grid content-start gap-3">
          {run.state !== "finished" && run.phases !== null && run.phases > 1 && run.phase !== null && (
            <p className="text-2xs text-ink-2">
              {run.phaseTitle ?? run.phase}, part {(run.phaseIndex ?? 0) + 1} of {run.phases}
            </p>
          )}
          <RunProgress run={run} />
          <div>
            <RunPattern run={run} config={run.config} />
          </div>
          <p className="tabular text-2xs text-ink-3">
            {["kl", "loss", "ce", "agreement"].flatMap((name) => (run.latest[name] === undefined ? [] : [`${name} ${formatMeasure(run.latest[name])}`])).join(" · ")}
            {isActive(run.state) && <span className="float-right">{formatAgo(run.updated, now)}</span>}
          </p>
        </div>
      </div>
    </header>
  );
}

/** Seconds since 1970, moving on while `live`. */
export function useNow(live: boolean): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [live]);
  return now;
}
