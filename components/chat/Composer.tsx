"use client";

import { useState, type KeyboardEvent } from "react";
import { Icon } from "@/components/ui/Icon";

type ComposerProps = {
  chat: boolean;
  busy: boolean;
  disabled: boolean;
  /** As wide as two columns. */
  wide: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
};

/** Where the visitor writes. Enter sends, Shift+Enter breaks the line; the same button stops. */
export function Composer({ chat, busy, disabled, wide, onSend, onStop }: ComposerProps) {
  const [text, setText] = useState("");
  const ready = text.trim() !== "" && !disabled;
  const submit = () => {
    if (!ready || busy) return;
    onSend(chat ? text.trim() : text);
    setText("");
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      className="sticky bottom-0 bg-canvas px-4 pt-1 pb-3 sm:px-6"
    >
      <div className={`mx-auto ${wide ? "max-w-6xl" : "max-w-3xl"}`}>
        <div className="flex items-end gap-2 rounded-xl border border-line-strong bg-surface p-1.5 pl-3.5 shadow-xs focus-within:border-accent">
          <label htmlFor="prompt" className="sr-only">
            {chat ? "Message" : "Text to continue"}
          </label>
          <textarea
            id="prompt"
            rows={1}
            value={text}
            disabled={disabled}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={press}
            placeholder={chat ? "Write a message" : "Begin a story, and the model continues it"}
            className="field-sizing-content max-h-52 min-h-9 w-full resize-none bg-transparent py-2 leading-5 outline-none placeholder:text-ink-3"
          />
          {busy ? (
            <button type="button" aria-label="Stop" title="Stop (Esc)" onClick={onStop} className="grid size-9 shrink-0 place-items-center rounded-lg bg-ink text-canvas hover:bg-ink/85">
              <Icon name="stop" className="size-4 fill-current" />
            </button>
          ) : (
            <button
              type="submit"
              aria-label={chat ? "Send" : "Continue this text"}
              title="Enter"
              disabled={!ready}
              className="grid size-9 shrink-0 place-items-center rounded-lg bg-ink text-canvas hover:bg-ink/85 disabled:bg-line-strong disabled:text-surface"
            >
              <Icon name="send" className="size-4" />
            </button>
          )}
        </div>
        <p className="mt-1.5 hidden gap-4 px-1 text-2xs text-ink-3 sm:flex">
          <span>Enter sends</span>
          <span>Shift+Enter breaks the line</span>
          <span>Esc stops</span>
          <span>Ctrl+K begins anew</span>
        </p>
      </div>
    </form>
  );
}
