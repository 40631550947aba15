"use client";

import Link from "next/link";
import { useEffect, useMemo, useState } from "react";
import { useBundles } from "@/components/bundles";
import { NoFamily } from "@/components/NoFamily";
import { Notice } from "@/components/ui/Notice";
import { SidePanel } from "@/components/ui/SidePanel";
import type { ListedFamily } from "@/lib/home/listing";
import { Composer } from "./Composer";
import { slots } from "./conversation";
import { engineOf } from "./engine";
import { FetchCard } from "./FetchCard";
import { ModelPanel } from "./ModelPanel";
import { conversationOf, newConversation, restoreSession, send, stop, useSession, type Column } from "./session";
import { Toolbar } from "./Toolbar";
import { Transcript } from "./Transcript";
import { useSelection, type PageSelection } from "./useSelection";

/** The chat: models at the left, the conversation at the right; one above the other on a narrow screen. */
export function ChatPage() {
  const bundles = useBundles();
  const families = useMemo(() => bundles.data?.families ?? [], [bundles.data]);
  const [selection, change] = useSelection(families);
  const [panelOpen, setPanelOpen] = useState(false);
  const restored = useSession((state) => state.restored);

  useEffect(restoreSession, []);
  const columns = useMemo(() => columnsOf(selection), [selection.family, selection.variant, selection.compare, selection.provider]); // eslint-disable-line react-hooks/exhaustive-deps -- selection is made anew at each render
  useKeys(selection.family?.family ?? null);

  if (bundles.isPending || bundles.isError || !restored || !selection.family) return <NoFamily bundles={bundles} waiting={!restored} />;

  return (
    <div className="grid flex-1 grid-rows-[auto_1fr] lg:h-[calc(100dvh-49px)] lg:flex-none lg:grid-cols-[21rem_minmax(0,1fr)] lg:grid-rows-1">
      <SidePanel
        label="Model and settings"
        id="model-panel"
        open={panelOpen}
        onOpen={setPanelOpen}
        title={selection.family.title}
        aside={columns.map(({ title }) => title).join(" · ")}
      >
        <ModelPanel families={families} selection={selection} columns={columns} change={change} />
      </SidePanel>
      <Conversation family={selection.family} columns={columns} refused={selection.refused} />
    </div>
  );
}

function Conversation({ family, columns, refused }: { family: ListedFamily; columns: Column[]; refused: PageSelection["refused"] }) {
  const conversation = useSession((state) => conversationOf(state, family.family));
  const running = useSession((state) => state.running);
  const storageFailed = useSession((state) => state.storageFailed);
  const chat = columns[0]?.chat ?? true;
  const blocked = family.problem !== null || columns.length === 0;
  const usable = family.variants.some(({ ready }) => ready);

  return (
    <section aria-label="Conversation" className="flex min-h-0 min-w-0 flex-col">
      <Toolbar family={family} conversation={conversation} busy={running !== null} />
      <Transcript conversation={conversation} columns={columns} chat={chat} running={running} onStarter={(text) => void send(columns, text)}>
        {family.problem && <Notice tone="bad" message={family.problem.message} action={family.problem.action} />}
        {refused.map(({ name, title }) => (
          <Notice
            key={name}
            tone="warn"
            message={`“${title}” drafts from the hidden states of another model, and cannot answer alone; another variant is shown instead.`}
            action="Choose it as a draft on the Speculate page."
          >
            <Link href={`/speculate?family=${family.family}&draft=${name}`} className="text-accent underline-offset-4 hover:underline">
              Speculate with it
            </Link>
          </Notice>
        ))}
        {family.fetchable && !usable && <FetchCard family={family} />}
        {storageFailed && (
          <Notice tone="warn" message="The browser refuses to store this conversation." action="Export it before you leave, or allow this site to store data." />
        )}
      </Transcript>
      <Composer chat={chat} busy={running !== null} disabled={blocked} wide={columns.length > 1} onSend={(text) => void send(columns, text)} onStop={stop} />
    </section>
  );
}

function columnsOf({ family, variant, compare, provider }: PageSelection): Column[] {
  const chosen = compare === null ? [variant] : [variant, compare];
  return chosen.flatMap((name, index) => {
    const slot = slots[index];
    const found = family?.variants.find((candidate) => candidate.name === name);
    if (!slot || !family || !found) return [];
    return [{ slot, selection: { family: family.family, variant: name, provider }, title: found.title, chat: family.chat ?? true }];
  });
}

/** Escape stops, Ctrl+K (or Cmd+K) begins a new conversation, wherever the focus is. */
function useKeys(family: string | null): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "Escape") {
        stop();
        for (const slot of slots) engineOf(slot).cancelLoad();
      }
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && family) {
        event.preventDefault();
        newConversation(family);
        document.getElementById("prompt")?.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [family]);
}
