"use client";

import { useMemo, useState } from "react";
import { Check } from "../run/LogPanel";
import { configRows } from "./config-rows";
import { RunHeads } from "./ResultsTable";
import type { ComparedRun } from "./useRunMetrics";

/** The runs' configs side by side: the rows that differ, or all. */
export function ConfigTable({ runs }: { runs: readonly ComparedRun[] }) {
  const [only, setOnly] = useState(true);
  const rows = useMemo(() => configRows(runs.map(({ run }) => run?.config ?? null)), [runs]);
  const shown = only && runs.length > 1 ? rows.filter(({ differs }) => differs) : rows;
  return (
    <section aria-labelledby="compare-config" className="grid grid-cols-[minmax(0,1fr)] gap-2">
      <div className="flex flex-wrap items-center gap-4">
        <h2 id="compare-config" className="text-[13px] font-semibold">
          Config
        </h2>
        <Check label="Only what differs" checked={only} onChange={setOnly} />
        <span role="status" className="tabular text-2xs text-ink-3">
          {shown.length} of {rows.length} fields
        </span>
      </div>
      {shown.length === 0 ? (
        <p className="rounded-lg border border-dashed border-line-strong px-4 py-8 text-center text-[13px] text-ink-2">The configs are the same.</p>
      ) : (
        <div className="max-h-[70vh] overflow-auto rounded-xl border border-line bg-surface" tabIndex={0} role="region" aria-label="Configs of the runs">
          <table className="w-full text-xs">
            <RunHeads runs={runs} />
            <tbody>
              {shown.map(({ path, values, differs }) => (
                <tr key={path} className="border-t border-line align-top">
                  <th scope="row" className={`px-4 py-1.5 text-left font-mono font-normal ${differs ? "" : "text-ink-2"}`}>
                    {path}
                  </th>
                  {values.map((value, index) => (
                    <td key={index} className={`max-w-60 px-4 py-1.5 text-right font-mono [overflow-wrap:anywhere] ${differs ? "" : "text-ink-2"}`}>
                      {value === undefined ? <span className="text-ink-3">–</span> : typeof value === "string" ? value : JSON.stringify(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
