"use client";

import { memo } from "react";
import { type AnswerToken, tagNames } from "./answer";

/** Colour and a second mark each, so that no one needs to tell the colours apart. */
export const tagLooks: Readonly<Record<AnswerToken["tag"], string>> = {
  accepted: "bg-attention/20 decoration-attention",
  corrected: "bg-mamba/25 decoration-mamba underline underline-offset-4 decoration-2",
  bonus: "bg-good/20 decoration-good underline underline-offset-4 decoration-dotted decoration-2",
  prompt: "",
};

type AnswerTextProps = {
  tokens: readonly AnswerToken[];
  selected: number | null;
  onSelect: (cycle: number) => void;
  running: boolean;
};

/** The answer; each token says by its colour how it came about, and leads to its cycle. */
export const AnswerText = memo(function AnswerText({ tokens, selected, onSelect, running }: AnswerTextProps) {
  return (
    <div className="grid gap-2">
      <p
        data-testid="answer"
        aria-live="off"
        aria-busy={running}
        className="min-h-24 rounded-md bg-sunken px-3 py-2.5 font-mono text-[13px] leading-7 whitespace-pre-wrap [overflow-wrap:anywhere]"
      >
        {tokens.map((token, index) => (
          <span
            key={index}
            data-tag={token.tag}
            title={token.cycle === null ? tagNames[token.tag] : `${tagNames[token.tag]}, cycle ${token.cycle + 1}`}
            onClick={() => token.cycle !== null && onSelect(token.cycle)}
            className={`rounded-[3px] ${token.cycle === null ? "" : "cursor-pointer"} ${tagLooks[token.tag]} ${selected !== null && token.cycle === selected ? "outline-2 outline-accent" : ""}`}
          >
            {token.text}
          </span>
        ))}
        {running && <span aria-hidden className="ml-0.5 inline-block h-4 w-1.5 animate-pulse bg-ink-2 align-text-bottom" />}
      </p>
      <p className="flex flex-wrap gap-x-4 gap-y-1 text-2xs text-ink-2">
        {(["accepted", "corrected", "bonus"] as const).map((tag) => (
          <span key={tag} className="inline-flex items-center gap-1.5">
            <span aria-hidden className={`rounded-[3px] px-1 font-mono ${tagLooks[tag]}`}>
              ab
            </span>
            {{ accepted: "accepted draft", corrected: "corrected by the target", bonus: "bonus: all drafts stood" }[tag]}
          </span>
        ))}
      </p>
    </div>
  );
});
