"use client";

import { useDeferredValue, useId, useMemo, useState } from "react";
import { formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import type { ResultEntry, ResultsFile } from "@/lib/home/results";

/** The measurements that ship with the project, one folded table a file, and a search in all of them. */
export function ResultsTable({ files }: { files: ResultsFile[] }) {
  const id = useId();
  const [text, setText] = useState("");
  const words = useWords(useDeferredValue(text));
  if (files.length === 0) return <p className="text-ink-2">There are no results yet. Measurements are kept in results/.</p>;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div className="grid max-w-sm gap-1">
        <label htmlFor={id} className="text-xs text-ink-2">
          Find in the results
        </label>
        <input
          id={id}
          type="search"
          value={text}
          placeholder="smollm2 attn50 wasm speedup"
          onChange={(event) => setText(event.target.value)}
          className="h-8 rounded-md border border-line-strong bg-surface px-2.5 text-[13px]"
        />
      </div>
      {files.map((file) =>
        "problem" in file ? (
          <Notice key={file.name} tone="warn" message={`results/${file.name}.json cannot be read: ${file.problem}`} action="Measure it again." />
        ) : (
          <FileTable key={file.name} name={file.name} results={file.results} words={words} />
        ),
      )}
    </div>
  );
}

const useWords = (text: string): readonly string[] => useMemo(() => text.toLowerCase().split(/\s+/).filter(Boolean), [text]);

type Measured = Extract<ResultsFile, { results: unknown }>["results"];

/** Folded until it is opened, or something in it is found. */
function FileTable({ name, results, words }: { name: string; results: Measured; words: readonly string[] }) {
  const [opened, setOpened] = useState(false);
  const searching = words.length > 0;
  const found = useMemo(() => results.entries.filter((entry) => matches(name, entry, words)), [name, results, words]);
  const shown = searching ? found.length > 0 : opened;
  return (
    <section aria-label={name} className="overflow-hidden rounded-xl border border-line bg-surface">
      <details open={shown} className="group" onToggle={(event) => !searching && setOpened(event.currentTarget.open)}>
        <summary className="flex cursor-pointer flex-wrap items-baseline gap-x-4 gap-y-1 px-5 py-3">
          <svg aria-hidden viewBox="0 0 16 16" className="-mr-2 size-3 self-center text-ink-3 transition-transform group-open:rotate-90" fill="none" stroke="currentColor" strokeWidth={1.6}>
            <path d="m6 4 4 4-4 4" />
          </svg>
          <h3 className="font-medium">{name}</h3>
          <span className="tabular text-xs text-ink-2">{searching ? `${found.length} of ${results.entries.length}` : `${results.entries.length} measurements`}</span>
          <span className="tabular text-2xs text-ink-3">
            {results.date.slice(0, 10)}, {describeMachine(results.machine)}, commit {results.commit.slice(0, 9)}
          </span>
          <code className="font-mono text-2xs text-ink-3">{results.command}</code>
        </summary>
        {shown && <Entries entries={found} />}
      </details>
    </section>
  );
}

function matches(name: string, entry: ResultEntry, words: readonly string[]): boolean {
  const all = `${name} ${entry.metric} ${describe(entry.of)}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

function Entries({ entries }: { entries: readonly ResultEntry[] }) {
  return (
    <div className="relative overflow-x-auto" tabIndex={0} role="group" aria-label="Measurements">
      <table className="w-full min-w-[44rem] text-xs">
        <thead className="text-left text-2xs text-ink-3">
          <tr className="border-t border-line">
            <th className="py-2 pr-4 pl-5 font-normal">Metric</th>
            <th className="py-2 pr-4 font-normal">Of</th>
            <th className="py-2 pr-4 text-right font-normal">Value</th>
            <th className="py-2 pr-4 text-right font-normal">Peer</th>
            <th className="py-2 pr-5 text-right font-normal">Ratio</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, index) => (
            <Row key={index} entry={entry} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ entry }: { entry: ResultEntry }) {
  return (
    <tr className="border-t border-line align-baseline" title={describeMaking(entry)}>
      <th scope="row" className="py-1.5 pr-4 pl-5 text-left font-mono font-normal">
        {entry.metric}
      </th>
      <td className="py-1.5 pr-4 text-ink-2">{describe(entry.of)}</td>
      <td className="py-1.5 pr-4 text-right whitespace-nowrap">
        {formatMeasured(entry.value)}
        {entry.stderr === undefined ? "" : ` ± ${formatMeasured(entry.stderr)}`} <span className="text-ink-3">{entry.unit}</span>
      </td>
      <td className="py-1.5 pr-4 text-right whitespace-nowrap text-ink-2">{entry.peer ? `${formatMeasured(entry.peer.value)} ${entry.peer.name}` : ""}</td>
      <td className="py-1.5 pr-5 text-right">{entry.ratio === undefined ? "" : `${formatNumber(entry.ratio)}×`}</td>
    </tr>
  );
}

function formatMeasured(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : formatNumber(value);
}

function describeMachine(machine: string | Record<string, unknown>): string {
  return typeof machine === "string" ? machine : Object.values(machine).filter((part) => typeof part === "string" || typeof part === "number").join(", ");
}

/** How an entry was made, where that is not what the table's head says; otherwise nothing. */
function describeMaking({ date, machine, commit, command }: ResultEntry): string | undefined {
  const parts = [date?.slice(0, 10), machine && describeMachine(machine), commit && `commit ${commit.slice(0, 9)}`, command];
  return parts.filter((part) => part).join(", ") || undefined;
}

/** Names speak for themselves; numbers, also those told as text, and flags get their key. */
function describe(of: ResultEntry["of"]): string {
  return Object.entries(of)
    .map(([key, value]) => (typeof value === "string" && Number.isNaN(Number(value)) ? value : `${key.replaceAll("_", " ")} ${value}`))
    .join(", ");
}
