"use client";

import { IconButton } from "@/components/ui/Button";
import { CopyButton } from "@/components/ui/CopyButton";
import type { ListedFamily } from "@/lib/home/listing";
import type { Conversation } from "./conversation";
import { download, toJson, toMarkdown } from "./export";
import { newConversation } from "./session";

/** What can be done with the conversation as a whole. */
export function Toolbar({ family, conversation, busy }: { family: ListedFamily; conversation: Conversation; busy: boolean }) {
  const name = family.family;
  const none = conversation.turns.length === 0;
  return (
    <div className="flex h-11 shrink-0 items-center gap-1 border-b border-line px-4 sm:px-6">
      <h1 className="mr-auto truncate text-[13px] font-medium">
        <span className="max-lg:sr-only">{family.title}</span>
        {!none && (
          <span className="tabular font-normal text-ink-3 lg:ml-2">
            {conversation.turns.length} {conversation.turns.length === 1 ? "turn" : "turns"}
          </span>
        )}
      </h1>
      <CopyButton label="Copy the conversation" text={() => toMarkdown(conversation, family.title)} disabled={none} />
      <ExportButton kind="Markdown" disabled={none || busy} onClick={() => download(`${name}.md`, "text/markdown", toMarkdown(conversation, family.title))} />
      <ExportButton kind="JSON" disabled={none || busy} onClick={() => download(`${name}.json`, "application/json", toJson(conversation, name))} />
      <IconButton icon="plus" label="New conversation (Ctrl+K)" disabled={none} onClick={() => newConversation(name)} />
    </div>
  );
}

function ExportButton({ kind, disabled, onClick }: { kind: string; disabled: boolean; onClick: () => void }) {
  return (
    <button
      type="button"
      disabled={disabled}
      onClick={onClick}
      title={`Export as ${kind}`}
      aria-label={`Export as ${kind}`}
      className="h-7 rounded-md px-2 text-2xs font-medium text-ink-3 hover:bg-sunken hover:text-ink disabled:pointer-events-none disabled:opacity-40"
    >
      {kind}
    </button>
  );
}
