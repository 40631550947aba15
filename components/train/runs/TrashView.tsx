"use client";

import { useState } from "react";
import { Button } from "@/components/ui/Button";
import { formatBytes } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { explain } from "../api";
import { Confirm } from "../Confirm";
import { useChange, useTrash } from "../queries";
import { formatDate } from "../words";

/** Runs that were deleted: put back, or removed for good. */
export function TrashView({ nodeNames }: { nodeNames: ReadonlyMap<string, string> }) {
  const trash = useTrash();
  const change = useChange();
  const [asking, setAsking] = useState(false);
  if (trash.isPending) return <p className="text-[13px] text-ink-2">Looking into the trash…</p>;
  if (trash.isError) return <Notice tone="bad" {...explain(trash.error)} />;
  const entries = [...trash.data.entries].sort((a, b) => b.deleted - a.deleted);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (entries.length === 0) return <p className="rounded-lg border border-dashed border-line-strong px-4 py-10 text-center text-[13px] text-ink-2">The trash is empty.</p>;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <p className="tabular text-[13px] text-ink-2">
          {entries.length} {entries.length === 1 ? "run" : "runs"}, {formatBytes(bytes)}. They take room on their nodes until they are removed.
        </p>
        <Button look="danger" icon="trash" disabled={change.isPending} onClick={() => setAsking(true)}>
          Empty the trash
        </Button>
      </div>
      {change.error && <Notice tone="bad" {...explain(change.error)} />}
      <ul className="grid grid-cols-[minmax(0,1fr)] rounded-xl border border-line bg-surface">
        {entries.map((entry) => (
          <li key={`${entry.node}:${entry.entry}`} className="flex flex-wrap items-center gap-x-4 gap-y-1 border-t border-line px-4 py-2.5 text-[13px] first:border-t-0">
            <span className="min-w-0 flex-1 basis-48">
              <span className="font-medium [overflow-wrap:anywhere]">{entry.name}</span>
              <span className="tabular block text-2xs text-ink-3">
                {nodeNames.get(entry.node) ?? entry.node} · deleted {formatDate(entry.deleted)} · {formatBytes(entry.bytes)}
              </span>
            </span>
            <Button icon="undo" disabled={change.isPending} aria-label={`Put ${entry.name} back`} onClick={() => change.mutate({ path: `/api/training/trash/${entry.node}/${entry.entry}/restore`, method: "POST" })}>
              Put back
            </Button>
          </li>
        ))}
      </ul>
      {asking && (
        <Confirm
          title="Remove these runs for good?"
          confirm="Empty the trash"
          danger
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            change.mutate({ path: "/api/training/trash", method: "DELETE" });
          }}
        >
          <p>
            {entries.length} {entries.length === 1 ? "run" : "runs"} with all checkpoints, {formatBytes(bytes)}. This cannot be undone.
          </p>
        </Confirm>
      )}
    </div>
  );
}
