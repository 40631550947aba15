"use client";

import Link from "next/link";
import type { RunDetail } from "@/lib/training/types";
import { formatMeasure, isActive } from "../words";
import { evaluationTables } from "./evaluation-table";
import { Empty } from "./SamplesPanel";

/** What the evaluation measured, and where the result can be used. */
export function ResultsPanel({ run }: { run: RunDetail }) {
  const tables = evaluationTables(run.evaluation ?? []);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      {run.exported && run.links ? (
        <p className="text-[13px]">
          Exported as variant <code className="font-mono text-xs">{run.exported.variant}</code> of <code className="font-mono text-xs">{run.exported.family}</code>:{" "}
          {run.links.chat && <Use href={run.links.chat} text="chat with it" />}
          {run.links.chat && run.links.explore && " or "}
          {run.links.explore && <Use href={run.links.explore} text="open it in the explorer" />}.
        </p>
      ) : (
        <p className="text-[13px] text-ink-2">{isActive(run.state) ? "The result can be used once it is exported." : run.readOnly ? "What this run made ships as one of the models." : "Not exported: the result cannot be used in the explorer or the chat yet."}</p>
      )}
      {tables.length === 0 && <Empty text={isActive(run.state) ? "The evaluation comes after training." : "This run was not evaluated. Its evaluation losses are in the curves."} />}
      {tables.map(({ task, columns, rows }) => (
        <section key={task} aria-label={task} className="grid grid-cols-[minmax(0,1fr)] gap-2">
          <h2 className="text-[13px] font-semibold capitalize">{task}</h2>
          <div className="overflow-x-auto rounded-xl border border-line bg-surface" tabIndex={0} role="region" aria-label={`Results of ${task}`}>
            <table className="w-full text-xs">
              <thead className="text-left text-2xs text-ink-3">
                <tr>
                  {columns.map((column) => (
                    <th key={column} scope="col" className="px-4 py-2 font-normal whitespace-nowrap">
                      {column.replaceAll("_", " ")}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((row, index) => (
                  <tr key={index} className="border-t border-line">
                    {row.map((value, column) => (
                      <td key={columns[column]} className={`px-4 py-1.5 whitespace-nowrap ${typeof value === "number" ? "text-right" : ""}`}>
                        {value === null ? "–" : typeof value === "number" ? formatMeasure(value) : value}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ))}
    </div>
  );
}

function Use({ href, text }: { href: string; text: string }) {
  return (
    <Link href={href} className="text-accent underline underline-offset-2">
      {text}
    </Link>
  );
}
