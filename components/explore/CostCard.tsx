"use client";

import type { ReactNode } from "react";
import { Button } from "@/components/ui/Button";
import { formatDuration, formatNumber } from "@/components/ui/format";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { Totals } from "@/lib/evaluation/types";
import { JobFailure } from "./JobFailure";
import { formatNats, formatShare, formatSigned } from "./numbers";
import { cancel, useProbe, type Compared } from "./probe";

type Line = { name: string; unit: string; hint: string; of: (totals: Totals) => number | null; show: (value: number) => string; /** Shows a difference without its sign, where not as a value. */ step?: (value: number) => string; main: boolean };

const lines: Line[] = [
  { name: "KL a token", unit: "nat", hint: "Mean KL(teacher ‖ hybrid) over the positions that have a next token", of: ({ kl }) => kl, show: formatNats, main: true },
  { name: "Same likeliest token", unit: "", hint: "Share of positions where both models' likeliest token is the same", of: ({ agreement }) => agreement, show: formatShare, step: (share) => `${(100 * share).toFixed(1)} pp`, main: true },
  { name: "Perplexity", unit: "", hint: "Of the text's tokens after the first", of: ({ perplexity }) => perplexity, show: formatNumber, main: true },
  { name: "Over the teacher's", unit: "×", hint: "Perplexity divided by the teacher's", of: ({ ratio }) => ratio, show: (value) => value.toFixed(3), main: true },
  { name: "Teacher's perplexity", unit: "", hint: "Of the text's tokens after the first", of: ({ teacherPerplexity }) => teacherPerplexity, show: formatNumber, main: false },
  { name: "KL in total", unit: "nat", hint: "Sum over the positions that have a next token", of: ({ kl, positions }) => kl * positions, show: formatNats, main: false },
  { name: "Same likeliest, in total", unit: "positions", hint: "Positions where both models' likeliest token is the same", of: ({ agreement, positions }) => Math.round(agreement * positions), show: String, main: false },
  { name: "Positions", unit: "", hint: "Tokens of the text that have a next token", of: ({ positions }) => positions, show: String, main: false },
];

/** What the patterns cost on the text. */
export function CostCard({ a, b, stale, comparing }: { a: Compared | null; b: Compared | null; stale: { a: boolean; b: boolean }; comparing: boolean }) {
  return (
    <section aria-label="Cost" className="grid grid-cols-[minmax(0,1fr)] gap-3 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <div className="flex min-h-7 flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="text-[13px] font-semibold">Cost on this text</h2>
        <div className="min-w-0 flex-1">
          <Work comparing={comparing} />
        </div>
      </div>
      <JobFailure job="text" />
      <JobFailure job="a" />
      {comparing && <JobFailure job="b" />}
      {!a && !comparing && <Skeleton />}
      {comparing ? <Beside a={a} b={b} stale={stale} /> : a && <Alone compared={a} stale={stale.a} />}
    </section>
  );
}

/** What runs now, with its progress, or how long the last comparison took. */
function Work({ comparing }: { comparing: boolean }) {
  const { jobs, a, b, status, wanted, done } = useProbe();
  const shown = comparing ? (["text", "a", "b"] as const) : (["text", "a"] as const);
  const behind = shown.filter((name) => wanted[name] !== null && wanted[name] !== done[name] && !jobs[name].error && !jobs[name].cancelled);
  const job = shown.find((name) => jobs[name].running) ?? behind[0];
  if (status !== "ready") return null;
  if (job) {
    const { progress } = jobs[job];
    return (
      <div className="flex items-center gap-2" data-testid="working">
        <p role="status" className="tabular min-w-0 truncate text-2xs text-ink-2">
          {progress?.message || (job === "text" ? "The teacher reads the text" : comparing ? `Comparing ${job.toUpperCase()}` : "Comparing")}
        </p>
        <div className="min-w-12 flex-1">
          <ProgressBar label="Comparing with the teacher" done={progress?.done ?? 0} total={progress?.total ?? 0} />
        </div>
        <Button look="ghost" className="h-7 px-2 text-xs" onClick={() => cancel(job)}>
          Cancel
        </Button>
      </div>
    );
  }
  const newest = comparing ? (b ?? a) : a;
  if (!newest || shown.some((name) => wanted[name] === null || wanted[name] !== done[name])) return null;
  return (
    <p className="tabular text-right text-2xs text-ink-3" data-testid="computed">
      Computed from layer {newest.from} in {formatDuration(newest.milliseconds)}
    </p>
  );
}

function Alone({ compared, stale }: { compared: Compared; stale: boolean }) {
  const { totals } = compared.comparison;
  return (
    <div className={`grid gap-4 transition-opacity ${stale ? "opacity-40" : ""}`} aria-busy={stale} data-testid="totals">
      <dl className="grid grid-cols-2 gap-x-4 gap-y-4 sm:grid-cols-4">
        {lines
          .filter(({ main }) => main)
          .map((line) => (
            <div key={line.name} title={line.hint}>
              <dt className="text-2xs text-ink-2">{line.name}</dt>
              <dd className="tabular mt-0.5 text-2xl font-semibold tracking-tight">
                <Value line={line} totals={totals} />
              </dd>
            </div>
          ))}
      </dl>
      <dl className="tabular flex flex-wrap gap-x-5 gap-y-1 text-xs">
        {lines
          .filter(({ main }) => !main)
          .map((line) => (
            <div key={line.name} title={line.hint} className="flex gap-1.5">
              <dt className="text-ink-3">{line.name}</dt>
              <dd>
                <Value line={line} totals={totals} />
              </dd>
            </div>
          ))}
      </dl>
    </div>
  );
}

function Beside({ a, b, stale }: { a: Compared | null; b: Compared | null; stale: { a: boolean; b: boolean } }) {
  return (
    <div className="relative overflow-x-auto" data-testid="totals">
      <table className="w-full text-[13px]">
        <thead className="text-2xs text-ink-3">
          <tr>
            <th className="pb-1.5 text-left font-normal">On the same text</th>
            <th className="pb-1.5 pl-4 text-right font-normal">A</th>
            <th className="pb-1.5 pl-4 text-right font-normal">B</th>
            <th className="pb-1.5 pl-4 text-right font-normal">B − A</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => {
            const values = [a && line.of(a.comparison.totals), b && line.of(b.comparison.totals)] as const;
            const difference = values[0] !== null && values[1] !== null ? values[1] - values[0] : null;
            return (
              <tr key={line.name} title={line.hint} className="border-t border-line">
                <th scope="row" className={`py-1.5 text-left font-normal ${line.main ? "" : "text-ink-3"}`}>
                  {line.name}
                  {line.unit && <span className="text-ink-3">, {line.unit}</span>}
                </th>
                {values.map((value, index) => (
                  <td key={index} className={`py-1.5 pl-4 text-right ${line.main ? "font-medium" : "text-ink-2"} ${stale[index === 0 ? "a" : "b"] ? "opacity-40" : ""}`}>
                    {value === null ? "–" : line.show(value)}
                  </td>
                ))}
                <td className={`py-1.5 pl-4 text-right whitespace-nowrap text-ink-2 ${stale.a || stale.b ? "opacity-40" : ""}`}>{difference === null ? "–" : formatSigned(difference, line.step ?? line.show)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Value({ line, totals }: { line: Line; totals: Totals }): ReactNode {
  const value = line.of(totals);
  if (value === null) return "–";
  return (
    <>
      {line.show(value)}
      {line.unit && <span className="ml-1 text-xs font-normal tracking-normal text-ink-3">{line.unit}</span>}
    </>
  );
}

function Skeleton() {
  const { status, loading, jobs, wanted } = useProbe();
  if (status === "loading") {
    return (
      <div className="grid gap-2 py-2">
        <ProgressBar label={`Loading: ${loading?.message ?? "starting"}`} done={loading?.done ?? 0} total={loading?.total ?? 0} />
        <p className="text-[13px] text-ink-2">The model is being loaded. {loading?.message}</p>
      </div>
    );
  }
  if (jobs.text.error || jobs.text.cancelled || jobs.a.error || jobs.a.cancelled) return null;
  return (
    <p className="py-3 text-[13px] text-ink-2">
      {status !== "ready"
        ? "Load the model: what each pattern costs is computed here, in this browser."
        : wanted.text === null
          ? "Write or choose a text: what each pattern costs on it is computed here, in this browser."
          : "The numbers appear as soon as the text was read."}
    </p>
  );
}
