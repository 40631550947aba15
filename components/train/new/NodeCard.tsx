"use client";

import Link from "next/link";
import { useId } from "react";
import { SelectField } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { formatBytes } from "@/components/ui/format";
import type { Launcher, TrainingNode } from "@/lib/training/types";
import { changeDraft, setLauncher, type Draft } from "./draft";

type NodeCardProps = { draft: Draft; nodes: readonly TrainingNode[]; node: TrainingNode | undefined };

/** Where the run goes, and how it is started there. */
export function NodeCard({ draft, nodes, node }: NodeCardProps) {
  const { launcher } = draft;
  const facts = node?.facts ?? null;
  const slurm = launcher.kind === "slurm";
  return (
    <section aria-labelledby="heading-node" className="rounded-xl border border-line bg-surface p-4 sm:p-5">
      <h2 id="heading-node" className="text-[13px] font-semibold">
        Where it runs
      </h2>
      <div className="mt-3 grid gap-x-6 gap-y-4 sm:grid-cols-2">
        <div className="grid content-start gap-1">
          <SelectField
            label="Node"
            value={draft.node}
            options={[
              ...(nodes.some(({ id }) => id === draft.node) ? [] : [{ value: draft.node, label: `${draft.node} (not known)` }]),
              ...nodes.filter(({ readOnly }) => !readOnly).map(({ id, name, destination }) => ({ value: id, label: destination ? `${name} (${destination})` : name })),
            ]}
            onChange={(id) => changeDraft({ node: id }, "")}
          />
          <p className="text-2xs text-ink-3">
            {describeMachine(node)}{" "}
            <Link href="/train/nodes" className="text-accent underline underline-offset-2">
              Nodes
            </Link>
          </p>
        </div>
        <div className="grid content-start gap-1">
          <SelectField
            label="Started by"
            value={launcher.kind}
            options={[
              { value: "process", label: "a process of its own" },
              { value: "slurm", label: facts && !facts.slurm ? "SLURM (not found on this node)" : "SLURM (sbatch)" },
            ]}
            onChange={(kind) => setLauncher(kind === "slurm" ? { kind, nodes: 1, gpusPerNode: facts?.gpus.length ?? 1 } : { kind: "process", gpus: "all" })}
          />
          <p className="text-2xs text-ink-3">{slurm ? "Waits in the queue, and goes on when the dashboard is closed." : "Goes on when the dashboard is closed or the network is gone."}</p>
        </div>
        {launcher.kind === "process" ? <GpuChoice launcher={launcher} node={node} /> : <SlurmFields launcher={launcher} partitions={facts?.slurm?.partitions ?? []} />}
      </div>
      {node?.error && (
        <div className="mt-3">
          <Notice tone="warn" message={node.error.message} action={node.error.action} />
        </div>
      )}
    </section>
  );
}

function describeMachine(node: TrainingNode | undefined): string {
  if (!node) return "Its machine is not known yet.";
  const { facts } = node;
  if (!facts) return "Not asked yet: GPUs and free memory are known after its first check.";
  const gpus = facts.gpus.length === 0 ? "no GPU" : facts.gpus.map(({ name, memoryFreeBytes }) => `${name}, ${formatBytes(memoryFreeBytes)} free`).join("; ");
  return `${facts.cpus} cores${facts.memoryBytes === null ? "" : `, ${formatBytes(facts.memoryBytes)} memory`}, ${gpus}.`;
}

type ProcessLauncher = Extract<Launcher, { kind: "process" }>;
type SlurmLauncher = Extract<Launcher, { kind: "slurm" }>;

function GpuChoice({ launcher, node }: { launcher: ProcessLauncher; node: TrainingNode | undefined }) {
  const gpus = node?.facts?.gpus ?? [];
  if (node?.facts && gpus.length === 0) return null;
  const chosen = (index: number): boolean => launcher.gpus === "all" || (Array.isArray(launcher.gpus) && launcher.gpus.includes(index));
  const toggle = (index: number): void => {
    const next = gpus.map((gpu) => gpu.index).filter((one) => (one === index ? !chosen(one) : chosen(one)));
    setLauncher({ kind: "process", gpus: next.length === 0 ? "none" : next.length === gpus.length ? "all" : next });
  };
  if (gpus.length === 0) {
    return (
      <SelectField
        label="GPUs"
        value={launcher.gpus === "none" ? "none" : "all"}
        options={[
          { value: "all", label: "all that the node has" },
          { value: "none", label: "none: on the CPU" },
        ]}
        onChange={(value) => setLauncher({ kind: "process", gpus: value === "none" ? "none" : "all" })}
      />
    );
  }
  return (
    <fieldset className="grid content-start gap-1 sm:col-span-2">
      <legend className="mb-1 text-xs text-ink-2">GPUs, one process each{launcher.gpus === "none" ? ": none, on the CPU" : ""}</legend>
      <div className="flex flex-wrap gap-2">
        {gpus.map((gpu) => (
          <label key={gpu.index} className="flex cursor-pointer items-center gap-2 rounded-md border border-line px-2.5 py-1.5 text-xs has-checked:border-accent has-checked:bg-accent-soft">
            <input type="checkbox" checked={chosen(gpu.index)} onChange={() => toggle(gpu.index)} className="accent-accent" />
            {gpu.index}: {gpu.name}
            <span className="text-ink-3">{formatBytes(gpu.memoryFreeBytes)} free</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function SlurmFields({ launcher, partitions }: { launcher: SlurmLauncher; partitions: readonly string[] }) {
  const id = useId();
  const put = (part: Partial<SlurmLauncher>): void => {
    const next = { ...launcher, ...part };
    setLauncher(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined && value !== "")) as SlurmLauncher);
  };
  const number = (label: string, key: "nodes" | "gpusPerNode" | "cpusPerTask", placeholder: string, optional: boolean) => (
    <label className="grid gap-1 text-xs text-ink-2">
      {label}
      <input
        type="text"
        inputMode="numeric"
        value={launcher[key] ?? ""}
        placeholder={placeholder}
        onChange={(event) => {
          const text = event.target.value.trim();
          if (text === "" && optional) put({ [key]: undefined });
          else if (/^\d+$/.test(text)) put({ [key]: Number(text) });
        }}
        className="tabular h-8 rounded-md border border-line-strong bg-surface px-2.5 text-[13px] text-ink"
      />
    </label>
  );
  const text = (label: string, key: "partition" | "account" | "qos" | "time" | "memory" | "constraint", placeholder: string) => (
    <label className="grid gap-1 text-xs text-ink-2">
      {label}
      <input
        type="text"
        spellCheck={false}
        list={key === "partition" ? `${id}-partitions` : undefined}
        value={launcher[key] ?? ""}
        placeholder={placeholder}
        onChange={(event) => put({ [key]: event.target.value.trim() })}
        className="h-8 rounded-md border border-line-strong bg-surface px-2.5 text-[13px] text-ink"
      />
    </label>
  );
  return (
    <fieldset className="grid grid-cols-2 gap-x-4 gap-y-3 sm:col-span-2 sm:grid-cols-3">
      <legend className="sr-only">SLURM</legend>
      {number("Hosts", "nodes", "1", false)}
      {number("GPUs a host", "gpusPerNode", "1", false)}
      {text("Partition", "partition", "the default")}
      {text("Time limit", "time", "HH:MM:SS")}
      {text("Account", "account", "the default")}
      {text("QOS", "qos", "the default")}
      {number("CPU cores a task", "cpusPerTask", "the default", true)}
      {text("Memory a host", "memory", "64G")}
      {text("Constraint", "constraint", "none")}
      <datalist id={`${id}-partitions`}>
        {partitions.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </fieldset>
  );
}
