"use client";

import { useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react";
import { Button } from "@/components/ui/Button";
import { CopyButton } from "@/components/ui/CopyButton";
import { formatBytes } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { explain } from "../api";
import type { RunRef } from "../events";
import { logLines, splitFound, toneOf, type LineTone } from "./log-lines";
import { Empty } from "./SamplesPanel";
import { useLog } from "./useLog";

/** Lines that are shown at once; a search looks through all that was read. */
const SHOWN = 1500;
const tones: Record<LineTone, string> = { error: "text-bad", warning: "text-warn", plain: "" };

/** The end of the run's log: followed, searched, its errors marked. */
export function LogPanel({ run }: { run: RunRef }) {
  const { log, earlier } = useLog(run);
  const [follow, setFollow] = useState(true);
  const [typed, setTyped] = useState("");
  const [errorsOnly, setErrorsOnly] = useState(false);
  const search = useDeferredValue(typed);
  const field = useId();
  const box = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => logLines(log.data?.text ?? ""), [log.data]);
  const found = useMemo(() => {
    const wanted = search.toLowerCase();
    return lines.filter((line) => (wanted === "" || line.toLowerCase().includes(wanted)) && (!errorsOnly || toneOf(line) !== "plain"));
  }, [lines, search, errorsOnly]);
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [follow, found]);
  if (log.isPending) return <p className="text-[13px] text-ink-2">Reading the log…</p>;
  if (log.isError) return <Notice tone="bad" {...explain(log.error)} />;
  if (lines.length === 0) return <Empty text="Nothing was logged yet." />;
  const shown = found.slice(-SHOWN);
  const narrowed = search !== "" || errorsOnly;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <label htmlFor={field} className="sr-only">
          Search the log
        </label>
        <input id={field} type="search" value={typed} onChange={(event) => setTyped(event.target.value)} placeholder="Search the log" className="h-8 w-56 rounded-md border border-line-strong bg-surface px-2.5 text-[13px] placeholder:text-ink-3" />
        <Check label="Errors and warnings" checked={errorsOnly} onChange={setErrorsOnly} />
        <Check label="Follow" checked={follow} onChange={setFollow} />
        <p role="status" className="tabular text-2xs text-ink-3">
          {narrowed ? `${found.length} of ${lines.length} lines` : `${lines.length} lines`}
          {found.length > shown.length && `, the last ${shown.length} shown`}
        </p>
        <span className="ml-auto">
          <CopyButton label="Copy the lines" text={() => found.join("\n")} />
        </span>
      </div>
      {log.data.from > 0 && (
        <div className="flex items-center gap-3 text-2xs text-ink-3">
          <Button className="h-7 px-2 text-xs" onClick={earlier} disabled={log.isFetching}>
            Read more
          </Button>
          {formatBytes(log.data.from)} are before what is shown.
        </div>
      )}
      <div
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Log"
        aria-live="off"
        className="h-[60vh] min-h-64 overflow-auto rounded-xl border border-line bg-surface p-3 font-mono text-2xs leading-5"
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          // Scrolling up is wanting to read; scrolling to the end is wanting to follow.
          const atEnd = scrollHeight - scrollTop - clientHeight < 24;
          if (atEnd !== follow) setFollow(atEnd);
        }}
      >
        {shown.map((line, index) => (
          <div key={found.length - shown.length + index} className={`min-h-5 whitespace-pre-wrap [overflow-wrap:anywhere] [content-visibility:auto] [contain-intrinsic-size:auto_1.25rem] ${tones[toneOf(line)]}`}>
            {splitFound(line, search).map((part, at) => (at % 2 === 1 ? <mark key={at} className="rounded-[2px] bg-warn-soft text-ink outline outline-warn/40">{part}</mark> : part))}
          </div>
        ))}
      </div>
    </div>
  );
}

export function Check({ label, checked, onChange }: { label: string; checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <label className="inline-flex items-center gap-1.5 text-xs text-ink-2">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} className="size-3.5 accent-[var(--accent)]" />
      {label}
    </label>
  );
}
