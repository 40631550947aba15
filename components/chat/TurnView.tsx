"use client";

import { useState } from "react";
import { Button, IconButton } from "@/components/ui/Button";
import type { Slot, Turn } from "./conversation";
import { AnswerView } from "./AnswerView";
import { extend, redo, type Column, type Live } from "./session";

type TurnViewProps = {
  turn: Turn;
  columns: Column[];
  chat: boolean;
  last: boolean;
  /** What is being written in this turn, or null. */
  live: Partial<Record<Slot, Live>> | null;
  busy: boolean;
};

/** One prompt with its answers. A completion shows the prompt as the beginning of each answer's text. */
export function TurnView({ turn, columns, chat, last, live, busy }: TurnViewProps) {
  const [editing, setEditing] = useState(false);
  const shown = (["a", "b"] as const).filter((slot) => turn.answers[slot] || (live && columns.some((column) => column.slot === slot)));

  if (editing) {
    return (
      <PromptEditor
        text={turn.prompt}
        chat={chat}
        onCancel={() => setEditing(false)}
        onSave={(prompt) => {
          setEditing(false);
          void redo(columns, turn.id, prompt);
        }}
      />
    );
  }

  const actions = (
    <>
      <IconButton icon="edit" label={chat ? "Edit this message" : "Edit the beginning"} disabled={busy} onClick={() => setEditing(true)} />
      <IconButton icon="retry" label={last ? "Write it again" : "Write it again; later turns are dropped"} disabled={busy} onClick={() => void redo(columns, turn.id)} />
    </>
  );

  return (
    <div className="group/turn grid gap-4">
      {chat && (
        <div className="flex items-start gap-1">
          <p className="max-w-full rounded-xl bg-sunken px-3.5 py-2 whitespace-pre-wrap [overflow-wrap:anywhere]">
            <span className="sr-only">You: </span>
            {turn.prompt}
          </p>
          <div
            className={`flex shrink-0 transition-opacity ${last ? "" : "opacity-0 group-hover/turn:opacity-100 focus-within:opacity-100 [@media(hover:none)]:opacity-100"}`}
          >
            {actions}
          </div>
        </div>
      )}
      <div className={`grid gap-x-8 gap-y-6 ${shown.length > 1 ? "md:grid-cols-2" : ""}`}>
        {shown.map((slot) => (
          <AnswerView
            key={slot}
            answer={turn.answers[slot]}
            title={turn.answers[slot]?.title ?? columns.find((column) => column.slot === slot)?.title ?? ""}
            prefix={chat ? "" : turn.prompt}
            writing={live !== null}
            live={live?.[slot] ?? null}
            onRetry={busy || !last ? undefined : () => void redo(columns, turn.id)}
          />
        ))}
      </div>
      {!chat && (
        <div className="flex items-center gap-1">
          {last && (
            <Button look="secondary" disabled={busy || columns.length === 0} onClick={() => void extend(columns, turn.id)}>
              Continue
            </Button>
          )}
          {actions}
        </div>
      )}
    </div>
  );
}

function PromptEditor({ text, chat, onSave, onCancel }: { text: string; chat: boolean; onSave: (text: string) => void; onCancel: () => void }) {
  const [draft, setDraft] = useState(text);
  const save = () => draft.trim() && onSave(chat ? draft.trim() : draft);
  return (
    <form
      className="grid gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        aria-label="Edit the prompt"
        autoFocus
        rows={2}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            save();
          }
          if (event.key === "Escape") onCancel();
        }}
        className="field-sizing-content w-full resize-none rounded-xl border border-line-strong bg-surface px-3.5 py-2"
      />
      <div className="flex gap-2">
        <Button look="primary" type="submit" disabled={!draft.trim()}>
          Write again
        </Button>
        <Button look="ghost" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
