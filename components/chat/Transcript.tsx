"use client";

import { useEffect, useRef, type ReactNode, type RefObject } from "react";
import type { Conversation, Slot } from "./conversation";
import type { Column, Live } from "./session";
import { TurnView } from "./TurnView";

type TranscriptProps = {
  conversation: Conversation;
  columns: Column[];
  chat: boolean;
  running: { turn: string; live: Partial<Record<Slot, Live>> } | null;
  onStarter: (text: string) => void;
  /** Notices above the turns. */
  children?: ReactNode;
};

const starters = {
  chat: ["What is a state space model, in two sentences?", "Give me three names for a small brown dog.", "Why is the sky blue?"],
  story: ["Once upon a time, there was a little fox who", "Lily found a small key in the garden.", "It was raining, and Tom"],
} as const;

/** The turns, newest last; follows the text while the reader is at its end. */
export function Transcript({ conversation, columns, chat, running, onStarter, children }: TranscriptProps) {
  const scroller = useRef<HTMLDivElement>(null);
  useFollow(scroller, conversation);

  return (
    <div ref={scroller} className="relative min-h-0 flex-1 overflow-y-auto px-4 sm:px-6">
      <div className={`mx-auto grid gap-8 py-6 ${columns.length > 1 ? "max-w-6xl" : "max-w-3xl"}`}>
        {children}
        {conversation.turns.length === 0 ? (
          <Empty chat={chat} disabled={columns.length === 0} onStarter={onStarter} />
        ) : (
          <ol className="grid gap-8" aria-label="Turns" aria-busy={running !== null}>
            {conversation.turns.map((turn, index) => (
              <li key={turn.id}>
                <TurnView
                  turn={turn}
                  columns={columns}
                  chat={chat}
                  last={index === conversation.turns.length - 1}
                  live={running?.turn === turn.id ? running.live : null}
                  busy={running !== null}
                />
              </li>
            ))}
          </ol>
        )}
      </div>
    </div>
  );
}

/** Keeps the end of the text in view, unless the reader has scrolled away from it. On a narrow screen the page itself scrolls. */
function useFollow(scroller: RefObject<HTMLDivElement | null>, content: unknown): void {
  const atEnd = useRef(true);
  useEffect(() => {
    const track = () => {
      const { scrollHeight, scrollTop, clientHeight } = containerOf(scroller.current);
      atEnd.current = scrollHeight - scrollTop - clientHeight < 64;
    };
    // Scroll events of the inner container do not bubble, but they are seen on their way down.
    document.addEventListener("scroll", track, { capture: true, passive: true });
    return () => document.removeEventListener("scroll", track, { capture: true });
  }, [scroller]);

  useEffect(() => {
    if (!atEnd.current) return;
    const element = containerOf(scroller.current);
    element.scrollTop = element.scrollHeight;
  }, [content, scroller]);
}

function containerOf(scroller: HTMLElement | null): HTMLElement {
  return scroller && scroller.scrollHeight > scroller.clientHeight + 1 ? scroller : document.documentElement;
}

function Empty({ chat, disabled, onStarter }: { chat: boolean; disabled: boolean; onStarter: (text: string) => void }) {
  return (
    <div className="py-[8vh]">
      <p className="text-lg font-medium tracking-tight">{chat ? "Ask the model something" : "Begin a story"}</p>
      <p className="mt-1 max-w-md text-ink-2">
        {chat
          ? "It runs in this browser, and what you write stays here."
          : "This family completes text: write a beginning, and it goes on from there. It runs in this browser."}
      </p>
      <ul className="mt-5 grid max-w-md gap-1.5">
        {starters[chat ? "chat" : "story"].map((text) => (
          <li key={text}>
            <button
              type="button"
              disabled={disabled}
              onClick={() => onStarter(text)}
              className="w-full rounded-lg border border-line bg-surface px-3 py-2 text-left text-[13px] text-ink-2 hover:border-line-strong hover:text-ink disabled:opacity-50"
            >
              {text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
