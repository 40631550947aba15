"use client";

import { formatDate, formatLarge, formatMeasure, formatSpan } from "../words";
import { evaluationTables } from "../run/evaluation-table";
import { LineSwatch } from "./LineSwatch";
import type { ComparedRun } from "./useRunMetrics";

type Line = { readonly name: string; readonly hint?: string; readonly of: (run: ComparedRun) => number | string | null; readonly show?: (value: number) => string; /** Which end is better, where one is. */ readonly better?: "low" | "high" };

const lastEval = (measure: string) => ({ metrics }: ComparedRun): number | null => metrics?.series.find((series) => series.kind === "eval" && series.measure === measure)?.value.findLast((value) => value !== null) ?? null;

const fixed: readonly Line[] = [
  { name: "Last evaluated KL, nat/token", of: lastEval("kl"), better: "low" },
  { name: "Best KL, nat/token", hint: "The lowest evaluation, or training value without one", of: ({ run }) => run?.best?.kl ?? null, better: "low" },
  { name: "Last evaluated loss", of: lastEval("loss"), better: "low" },
  { name: "Top-1 agreement", of: lastEval("agreement"), better: "high" },
  { name: "Steps", of: ({ run }) => run?.step ?? null, show: String },
  { name: "Tokens", of: ({ run }) => run?.tokens ?? null, show: formatLarge },
  { name: "Tokens/s", of: ({ run }) => run?.latest.tokens_per_second ?? null, show: formatLarge, better: "high" },
  { name: "Time", of: ({ run }) => (run?.started ? run.updated - run.started : null), show: formatSpan },
  { name: "Peak GPU memory, GiB", of: ({ run }) => run?.latest.memory_gib ?? null, better: "low" },
  { name: "Started", of: ({ run }) => (run ? formatDate(run.started ?? run.created) : null) },
];

/** What came out of each run; the best of a row stands out. */
export function ResultsTable({ runs }: { runs: readonly ComparedRun[] }) {
  const lines = [...fixed, ...evaluated(runs)];
  return (
    <section aria-labelledby="compare-results" className="grid grid-cols-[minmax(0,1fr)] gap-2">
      <h2 id="compare-results" className="text-[13px] font-semibold">
        Results
      </h2>
      <div className="overflow-x-auto rounded-xl border border-line bg-surface" tabIndex={0} role="region" aria-label="Results of the runs">
        <table className="w-full text-xs">
          <RunHeads runs={runs} />
          <tbody>
            {lines.map((line) => {
              const values = runs.map(line.of);
              if (values.every((value) => value === null)) return null;
              const numbers = values.filter((value): value is number => typeof value === "number");
              const best = line.better && numbers.length > 1 ? (line.better === "low" ? Math.min(...numbers) : Math.max(...numbers)) : null;
              return (
                <tr key={line.name} title={line.hint} className="border-t border-line">
                  <th scope="row" className="px-4 py-1.5 text-left font-normal text-ink-2">
                    {line.name}
                  </th>
                  {values.map((value, index) => (
                    <td key={index} className={`px-4 py-1.5 text-right whitespace-nowrap ${value !== null && value === best ? "font-semibold" : ""}`}>
                      {value === null ? "–" : typeof value === "string" ? value : (line.show ?? formatMeasure)(value)}
                      {value !== null && value === best && <span className="sr-only"> (best)</span>}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Numbers of the evaluations: one line a task, data and measure. */
function evaluated(runs: readonly ComparedRun[]): Line[] {
  const found = new Map<string, Map<ComparedRun["name"], number>>();
  for (const { name, run } of runs) {
    for (const { task, columns, rows } of evaluationTables(run?.evaluation ?? [])) {
      for (const row of rows) {
        const data = row[columns.indexOf("data")];
        columns.forEach((column, index) => {
          const value = row[index];
          if (typeof value !== "number") return;
          const line = [task, typeof data === "string" ? data.split("/").at(-1) : null, column.replaceAll("_", " ")].filter(Boolean).join(", ");
          found.set(line, (found.get(line) ?? new Map()).set(name, value));
        });
      }
    }
  }
  return [...found].map(([name, values]) => ({ name, of: (run) => values.get(run.name) ?? null }));
}

export function RunHeads({ runs }: { runs: readonly ComparedRun[] }) {
  return (
    <thead className="text-2xs text-ink-2">
      <tr>
        <td />
        {runs.map(({ name, run }, index) => (
          <th key={`${name.node}:${name.id}`} scope="col" className="min-w-28 px-4 py-2 text-right font-medium">
            <span className="inline-flex items-center justify-end gap-2">
              <LineSwatch index={index} />
              <span className="[overflow-wrap:anywhere]">{run?.name ?? name.id}</span>
            </span>
          </th>
        ))}
      </tr>
    </thead>
  );
}
