"use client";

import { useState, type FormEvent } from "react";
import { Button, IconButton } from "@/components/ui/Button";
import { LayerStrip } from "@/components/ui/LayerStrip";
import { Notice } from "@/components/ui/Notice";
import { parsePattern } from "@/lib/hybrid/pattern";
import { namePattern, type FamilyShape } from "./patterns";
import { deleteSaved, loadSaved, patternsOf, renameSaved, restoreSaved, saveAs, useExplore } from "./session";
import type { SavedConfig } from "./saved";

/** Named configurations, kept in this browser. */
export function SavedCard({ shape }: { shape: FamilyShape }) {
  const saved = useExplore((state) => state.saved);
  const failed = useExplore((state) => state.storageFailed);
  const patterns = useExplore(patternsOf);
  const [name, setName] = useState("");
  const [deleted, setDeleted] = useState<SavedConfig | null>(null);
  const suggestion = patterns ? namePattern(patterns.a, shape) : "";
  const save = (event: FormEvent) => {
    event.preventDefault();
    saveAs(name.trim() || suggestion);
    setName("");
  };
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-2.5">
      <form onSubmit={save} className="flex gap-1.5">
        <label htmlFor="saved-name" className="sr-only">
          Name of the configuration
        </label>
        <input
          id="saved-name"
          value={name}
          maxLength={80}
          onChange={(event) => setName(event.target.value)}
          placeholder={suggestion}
          className="h-8 min-w-0 flex-1 rounded-md border border-line-strong bg-surface px-2.5 text-[13px] placeholder:text-ink-3"
        />
        <Button type="submit">Save</Button>
      </form>
      {failed && <Notice tone="warn" message="The browser refuses to store configurations and texts." action="Copy a link before you leave, or allow this site to store data." />}
      {deleted && (
        <p role="status" className="flex items-center gap-2 text-xs text-ink-2">
          <span className="min-w-0 truncate">“{deleted.name}” is deleted.</span>
          <button
            type="button"
            className="text-accent underline underline-offset-2"
            onClick={() => {
              restoreSaved(deleted);
              setDeleted(null);
            }}
          >
            Put it back
          </button>
        </p>
      )}
      {saved.length === 0 ? (
        <p className="text-xs text-ink-3">None yet. Saved patterns stay in this browser.</p>
      ) : (
        <ul className="grid grid-cols-[minmax(0,1fr)] gap-1">
          {saved.map((entry) => (
            <Entry
              key={entry.id}
              entry={entry}
              onDelete={() => {
                deleteSaved(entry.id);
                setDeleted(entry);
              }}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

function Entry({ entry, onDelete }: { entry: SavedConfig; onDelete: () => void }) {
  const [name, setName] = useState<string | null>(null);
  const finish = () => {
    if (name !== null) renameSaved(entry.id, name);
    setName(null);
  };
  return (
    <li className="grid grid-cols-[minmax(0,1fr)] gap-1.5 rounded-md border border-line px-2.5 py-2">
      <div className="flex items-center gap-0.5">
        {name === null ? (
          <button type="button" onClick={() => loadSaved(entry)} title="Load this configuration" className="min-w-0 flex-1 truncate text-left text-[13px] font-medium hover:underline">
            {entry.name}
          </button>
        ) : (
          <input
            autoFocus
            aria-label={`New name of ${entry.name}`}
            value={name}
            maxLength={80}
            onChange={(event) => setName(event.target.value)}
            onBlur={finish}
            onKeyDown={(event) => {
              if (event.key === "Enter") finish();
              if (event.key === "Escape") setName(null);
            }}
            className="h-7 min-w-0 flex-1 rounded border border-accent bg-surface px-1.5 text-[13px]"
          />
        )}
        <IconButton icon="edit" label={`Rename ${entry.name}`} onClick={() => setName(entry.name)} />
        <IconButton icon="trash" label={`Delete ${entry.name}`} onClick={onDelete} />
      </div>
      <LayerStrip layers={parsePattern(entry.a)} size="compact" />
      {entry.b !== null && <LayerStrip layers={parsePattern(entry.b)} size="compact" />}
      <p className="text-2xs text-ink-3">
        {entry.family}, {entry.savedAt.slice(0, 10)}
      </p>
    </li>
  );
}
