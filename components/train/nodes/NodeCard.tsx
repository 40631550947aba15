"use client";

import { useEffect, useState } from "react";
import { Button } from "@/components/ui/Button";
import { formatBytes } from "@/components/ui/format";
import { Icon, type IconName } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { NodeCheckStep, NodeFacts, TrainingNode } from "@/lib/training/types";
import { explain } from "../api";
import { Confirm } from "../Confirm";
import { useChange } from "../queries";
import { formatAgo } from "../words";
import { formOf } from "./node-form";
import { NodeFields } from "./NodeFields";
import { NodeState } from "./NodeState";
import { useNodeWork } from "./useNodeWork";

/** One node: how it stands, its check step by step, its environment, and its settings. */
export function NodeCard({ node, now, checkAtOnce }: { node: TrainingNode; now: number; checkAtOnce: boolean }) {
  const { work, start, cancel } = useNodeWork(node.id);
  const change = useChange();
  const [editing, setEditing] = useState(false);
  const [asking, setAsking] = useState(false);
  useEffect(() => {
    if (checkAtOnce) void start("check");
  }, [checkAtOnce, start]);
  const local = node.kind === "local";
  const path = `/api/training/nodes/${encodeURIComponent(node.id)}`;
  const steps = work.steps.length > 0 ? work.steps : node.checks;
  const preparing = work.kind === "prepare" || node.environment.state === "preparing";
  return (
    <article id={node.id} aria-label={node.name} className="grid scroll-mt-16 grid-cols-[minmax(0,1fr)] gap-4 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <header className="flex flex-wrap items-start gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-56">
          <h2 className="flex flex-wrap items-baseline gap-x-3 text-base font-semibold tracking-tight">
            {node.name} <NodeState node={node} />
          </h2>
          <p className="text-xs text-ink-2 [overflow-wrap:anywhere]">
            {local ? "Where this dashboard runs. Nothing to set up: the environment is made when the first run needs it." : <code className="font-mono text-2xs">{`${node.destination}${node.port === null ? "" : `, port ${node.port}`}`}</code>}
          </p>
        </div>
        <div className="flex flex-wrap gap-2">
          <Button icon="check" disabled={work.kind !== null} onClick={() => void start("check")}>
            {node.checkedAt === null && steps.length === 0 ? "Check" : "Check again"}
          </Button>
          {node.environment.state !== "ready" && !preparing && (
            <Button icon="download" disabled={work.kind !== null} onClick={() => void start("prepare")}>
              Prepare environment
            </Button>
          )}
          {!local && (
            <>
              <Button icon="edit" aria-expanded={editing} onClick={() => setEditing(!editing)}>
                Edit
              </Button>
              <Button look="danger" icon="trash" onClick={() => setAsking(true)}>
                Remove
              </Button>
            </>
          )}
        </div>
      </header>
      {node.error && work.error === null && <Notice tone="bad" message={node.error.message} action={node.error.action} />}
      {work.error && <Notice tone="bad" {...work.error} />}
      {editing && (
        <NodeFields
          initial={formOf(node)}
          submit="Save"
          busy={change.isPending}
          failure={change.error ? explain(change.error) : null}
          onCancel={() => setEditing(false)}
          onSubmit={({ kind: _, ...settings }) => change.mutate({ path, method: "PATCH", json: settings }, { onSuccess: () => setEditing(false) })}
        />
      )}
      {node.facts && <Facts facts={node.facts} ready={node.environment.state === "ready"} />}
      <Environment node={node} preparing={preparing} progress={work.progress} done={work.done} onCancel={cancel} />
      {(steps.length > 0 || work.kind === "check") && (
        <section aria-label={`Check of ${node.name}`} aria-busy={work.kind === "check"}>
          <h3 className="mb-1.5 text-xs text-ink-2">
            {work.kind === "check" ? "Checking…" : node.checkedAt === null ? "Check" : `Checked ${formatAgo(node.checkedAt, now)}`}
          </h3>
          <ol className="grid grid-cols-[minmax(0,1fr)] gap-1.5">
            {steps.map((step) => (
              <CheckStep key={step.name} step={step} />
            ))}
          </ol>
        </section>
      )}
      {asking && (
        <Confirm
          title={`Remove “${node.name}”?`}
          confirm="Remove"
          danger
          busy={change.isPending}
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            change.mutate({ path, method: "DELETE" });
          }}
        >
          <p>The dashboard forgets it. Its runs go on and its files stay: add it again with the same folder and they are found.</p>
        </Confirm>
      )}
      {change.error && !editing && <Notice tone="bad" {...explain(change.error)} />}
    </article>
  );
}

const stepLooks: Readonly<Record<NodeCheckStep["state"], { icon: IconName; tone: string; word: string }>> = {
  running: { icon: "clock", tone: "text-accent", word: "running" },
  ok: { icon: "check", tone: "text-good", word: "in order" },
  warn: { icon: "alert", tone: "text-warn", word: "warning" },
  fail: { icon: "close", tone: "text-bad", word: "failed" },
  skipped: { icon: "info", tone: "text-ink-3", word: "skipped" },
};

function CheckStep({ step: { title, state, detail, action } }: { step: NodeCheckStep }) {
  const { icon, tone, word } = stepLooks[state];
  return (
    <li data-state={state} className="grid grid-cols-[1rem_minmax(0,8rem)_minmax(0,1fr)] items-start gap-x-2 text-[13px] max-sm:grid-cols-[1rem_minmax(0,1fr)]">
      <span className={`${tone} pt-0.5`}>
        <Icon name={icon} />
        <span className="sr-only">{word}</span>
      </span>
      <span className={state === "skipped" ? "text-ink-3" : ""}>{title}</span>
      <span className="min-w-0 text-xs text-ink-2 [overflow-wrap:anywhere] max-sm:col-start-2 sm:pt-px">
        {detail}
        {action && state !== "ok" && <span className="mt-0.5 block text-ink">{action}</span>}
      </span>
    </li>
  );
}

function Facts({ facts, ready }: { facts: NodeFacts; ready: boolean }) {
  const list: [string, string][] = [
    ["Host", facts.host],
    ["Processor", `${facts.cpus} ${facts.cpus === 1 ? "core" : "cores"}`],
    ["Memory", facts.memoryBytes === null ? "–" : formatBytes(facts.memoryBytes)],
    ["Disk free", facts.diskFreeBytes === null ? "–" : formatBytes(facts.diskFreeBytes)],
    ["Python", facts.python],
    ["torch", facts.torch ?? (ready ? "in its environment" : "none yet")],
    ["SLURM", facts.slurm ? `${facts.slurm.version}${facts.slurm.partitions.length > 0 ? ` (${facts.slurm.partitions.join(", ")})` : ""}` : "none"],
    ["Folder", facts.root],
  ];
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <dl className="tabular grid grid-cols-2 gap-x-6 gap-y-2 text-[13px] sm:grid-cols-4">
        {list.map(([name, value]) => (
          <div key={name} className="min-w-0">
            <dt className="text-2xs text-ink-3">{name}</dt>
            <dd className="[overflow-wrap:anywhere]">{value}</dd>
          </div>
        ))}
      </dl>
      {facts.gpus.length > 0 && (
        <ul aria-label="GPUs" className="grid grid-cols-[minmax(0,1fr)] gap-2 sm:grid-cols-2 lg:grid-cols-4">
          {facts.gpus.map(({ index, name, memoryBytes, memoryFreeBytes, utilisation }) => (
            <li key={index} className="tabular grid gap-1 rounded-md border border-line px-3 py-2 text-2xs text-ink-2">
              <span className="truncate text-xs text-ink">
                {index}: {name}
              </span>
              <ProgressBar label={`Memory in use of GPU ${index}`} done={memoryBytes - memoryFreeBytes} total={memoryBytes} />
              <span>
                {formatBytes(memoryFreeBytes)} of {formatBytes(memoryBytes)} free{utilisation === null ? "" : `, ${utilisation}% busy`}
              </span>
            </li>
          ))}
        </ul>
      )}
      {Math.abs(facts.clockSkewSeconds) > 5 && <p className="text-xs text-warn">Its clock is {Math.abs(Math.round(facts.clockSkewSeconds))} s {facts.clockSkewSeconds > 0 ? "ahead" : "behind"}: times of its runs are by its own clock.</p>}
    </div>
  );
}

type EnvironmentProps = { node: TrainingNode; preparing: boolean; progress: { message: string; done: number; total: number } | null; done: string | null; onCancel: () => void };

function Environment({ node: { name, environment }, preparing, progress, done, onCancel }: EnvironmentProps) {
  if (preparing) {
    return (
      <div className="grid gap-2 rounded-md border border-line bg-sunken px-3 py-2.5" data-testid="preparing">
        <p role="status" className="tabular text-[13px]">
          {progress?.message ?? environment.detail}
        </p>
        <ProgressBar label={`Preparing the environment of ${name}`} done={progress?.done ?? 0} total={progress?.total ?? 0} />
        <Button look="ghost" className="-ml-2 h-7 justify-self-start px-2" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    );
  }
  if (environment.state === "failed") return <Notice tone="bad" message={`The environment could not be made. ${environment.detail}`} action="Mend what it says, then prepare it again." />;
  return (
    <p className="flex items-center gap-1.5 text-[13px] text-ink-2">
      {environment.state === "ready" && <Icon name="check" className="size-3.5 text-good" />}
      <span>
        Environment: {environment.detail || (environment.state === "ready" ? "ready." : "not made yet.")}
        {done && environment.state === "ready" && done !== environment.detail ? ` ${done}` : ""}
      </span>
    </p>
  );
}
