"use client";

import { useId, useState, type FormEvent } from "react";
import { Icon } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import type { RunDetail } from "@/lib/training/types";
import { explain, runPath } from "../api";
import { useChange } from "../queries";
import { Tag } from "../RunBadges";

/** A run's tags and notes; they are stored when the field is left. */
export function NotesCard({ run }: { run: RunDetail }) {
  const change = useChange();
  const [notes, setNotes] = useState<string | null>(null);
  const [tag, setTag] = useState("");
  const [tagField, notesField] = [useId(), useId()];
  const save = (json: { notes?: string; tags?: string[] }): void => change.mutate({ path: runPath(run.node, run.id), method: "PATCH", json });
  const addTag = (event: FormEvent): void => {
    event.preventDefault();
    const text = tag.trim();
    if (text === "" || run.tags.includes(text)) return;
    save({ tags: [...run.tags, text] });
    setTag("");
  };
  if (run.readOnly) {
    return run.tags.length + run.notes.length === 0 ? null : (
      <div className="grid gap-2 text-[13px]">
        <p className="flex flex-wrap gap-1">{run.tags.map((name) => <Tag key={name} text={name} />)}</p>
        <p className="whitespace-pre-wrap text-ink-2">{run.notes}</p>
      </div>
    );
  }
  return (
    <section aria-label="Notes and tags" className="grid grid-cols-[minmax(0,1fr)] gap-3 md:grid-cols-[minmax(0,20rem)_minmax(0,1fr)]">
      <div className="grid content-start gap-1">
        <label htmlFor={tagField} className="text-xs text-ink-2">
          Tags
        </label>
        <form onSubmit={addTag} className="flex flex-wrap items-center gap-1 rounded-md border border-line-strong bg-surface px-1.5 py-1">
          {run.tags.map((name) => (
            <span key={name} className="inline-flex items-center gap-0.5 rounded border border-line bg-sunken pl-1.5 text-2xs text-ink-2">
              {name}
              <button type="button" aria-label={`Remove tag ${name}`} onClick={() => save({ tags: run.tags.filter((other) => other !== name) })} className="grid size-5 place-items-center hover:text-ink">
                <Icon name="close" className="size-2.5" />
              </button>
            </span>
          ))}
          <input id={tagField} value={tag} maxLength={40} onChange={(event) => setTag(event.target.value)} onBlur={addTag} placeholder={run.tags.length === 0 ? "Add a tag" : ""} className="h-6 min-w-24 flex-1 bg-transparent px-1 text-[13px] outline-none placeholder:text-ink-3" />
        </form>
      </div>
      <div className="grid gap-1">
        <label htmlFor={notesField} className="flex text-xs text-ink-2">
          Notes
          <span role="status" className="ml-auto text-2xs text-ink-3">
            {change.isPending ? "Storing…" : change.isSuccess && notes === null ? "Stored" : ""}
          </span>
        </label>
        <textarea
          id={notesField}
          rows={2}
          value={notes ?? run.notes}
          maxLength={20_000}
          placeholder="What this run is for, what came out"
          onChange={(event) => setNotes(event.target.value)}
          onBlur={() => {
            if (notes !== null && notes !== run.notes) change.mutate({ path: runPath(run.node, run.id), method: "PATCH", json: { notes } }, { onSuccess: () => setNotes(null) });
            else setNotes(null);
          }}
          className="min-h-9 w-full rounded-md border border-line-strong bg-surface px-2.5 py-1.5 text-[13px] placeholder:text-ink-3"
        />
      </div>
      {change.error && (
        <div className="md:col-span-2">
          <Notice tone="bad" {...explain(change.error)} />
        </div>
      )}
    </section>
  );
}
