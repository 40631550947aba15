"use client";

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { formatBytes } from "@/components/ui/format";
import type { Architecture } from "@/lib/hybrid/config";
import { estimateRun } from "@/lib/training/config/estimate";
import { trainingProcesses } from "@/lib/training/config/processes";
import type { PlannedStage } from "@/lib/training/config/validate";
import { estimateSchema, type Estimate, type TrainingNode } from "@/lib/training/types";
import { ask } from "../api";
import { formatLarge, formatSpan } from "../words";
import type { Draft } from "./draft";

type EstimateCardProps = { draft: Draft; stages: readonly PlannedStage[] | null; teacher: Architecture | null; /** Whether the teacher's shape is being read. */ reading: boolean; node: TrainingNode | undefined };

/** What the run will take. The server knows what earlier runs measured; without it, the form's own estimate shows. */
export function EstimateCard({ draft, stages, teacher, reading, node }: EstimateCardProps) {
  const { config, launcher, node: id } = draft;
  const told = useQuery({
    queryKey: ["training", "estimate", id, JSON.stringify(launcher), JSON.stringify(config)],
    enabled: stages !== null,
    retry: false,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      // A word that is being typed is not asked about letter by letter.
      await new Promise((resolve) => setTimeout(resolve, 350));
      signal.throwIfAborted();
      return ask("/api/training/estimate", estimateSchema, { method: "POST", json: { config, node: id, launcher }, signal });
    },
  });
  const facts = node?.facts ?? null;
  const gpu = launcher.kind === "process" && launcher.gpus === "none" ? null : (facts?.gpus[0] ?? null);
  const own = stages && estimateRun({ stages, teacher, machine: { gpu: gpu?.name ?? null, devices: trainingProcesses(launcher, facts?.gpus.length ?? 0), cpus: facts?.cpus ?? 2 }, benchmarks: [] });
  const shown: Omit<Estimate, "problems"> | null = told.data ?? own;
  const memory = gpu ? gpu.memoryFreeBytes : (facts?.memoryBytes ?? null);
  return (
    <section aria-labelledby="heading-estimate" className="rounded-xl border border-line bg-surface p-4 sm:p-5">
      <h2 id="heading-estimate" className="text-[13px] font-semibold">
        Estimate
      </h2>
      {reading && !told.data ? (
        <div aria-hidden className="mt-3 h-24 animate-pulse rounded-md bg-sunken" />
      ) : shown && stages ? (
        <>
          <dl className="mt-3 grid grid-cols-2 gap-x-4 gap-y-3">
            <Figure name="Training time" value={shown.seconds === null ? "not known" : `about ${formatSpan(rough(shown.seconds))}`} />
            <Figure name="Tokens" value={formatLarge(shown.tokens)} />
            <Figure name={gpu ? "GPU memory" : "Memory"} value={shown.memoryBytes === null ? "not known" : formatBytes(shown.memoryBytes)} of={memory} used={shown.memoryBytes} what={gpu ? "free" : "in all"} />
            <Figure name="Disk" value={shown.diskBytes === null ? "not known" : formatBytes(shown.diskBytes)} of={facts?.diskFreeBytes ?? null} used={shown.diskBytes} what="free" />
          </dl>
          <p className="mt-3 text-2xs text-ink-3">{shown.basis}</p>
        </>
      ) : (
        <p className="mt-2 text-xs text-ink-2">It shows when the config is complete.</p>
      )}
    </section>
  );
}

/** A guess has no seconds: two digits of it. */
const rough = (seconds: number): number => (seconds < 60 ? Math.ceil(seconds / 5) * 5 : Number(seconds.toPrecision(2)));

type FigureProps = { name: string; value: string; of?: number | null; used?: number | null; what?: string };

function Figure({ name, value, of = null, used = null, what = "" }: FigureProps): ReactNode {
  const share = of !== null && used !== null && of > 0 ? used / of : null;
  const tight = share !== null && share > 0.9;
  return (
    <div className="grid content-start gap-0.5">
      <dt className="text-2xs text-ink-3">{name}</dt>
      <dd className={`tabular text-[15px] font-medium ${tight ? "text-bad" : ""}`}>{value}</dd>
      {share !== null && of !== null && (
        <dd className="grid gap-1">
          <span aria-hidden className="block h-1 overflow-hidden rounded-full bg-line">
            <span className={`block h-full rounded-full ${tight ? "bg-bad" : "bg-ink-3"}`} style={{ width: `${Math.min(100, Math.max(2, 100 * share))}%` }} />
          </span>
          <span className={`text-2xs ${tight ? "font-medium text-bad" : "text-ink-3"}`}>
            {share > 1 ? "more than the " : "of "}
            {formatBytes(of)} {what}
          </span>
        </dd>
      )}
    </div>
  );
}
