"use client";

import { Button } from "@/components/ui/Button";
import { CopyButton } from "@/components/ui/CopyButton";
import { formatDuration, formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import type { Answer } from "./conversation";
import type { Live } from "./session";

type AnswerViewProps = {
  answer: Answer | undefined;
  title: string;
  /** Text that the answer continues, shown before it in a lighter ink. */
  prefix: string;
  /** Whether this turn is being answered now. */
  writing: boolean;
  live: Live | null;
  onRetry: (() => void) | undefined;
};

const endings = { stop: null, length: "token limit reached", context: "context full", cancelled: "stopped", error: null } as const;

/** One model's answer with its timings. */
export function AnswerView({ answer, title, prefix, writing, live, onRetry }: AnswerViewProps) {
  const open = writing && answer?.finish === null;
  return (
    <article aria-label={`Answer of ${title}`} className="min-w-0">
      <header className="mb-1 flex h-7 items-center gap-2 text-xs text-ink-3">
        <span className="truncate font-medium text-ink-2">{title}</span>
        <span className="ml-auto" />
        {answer?.text && !open && <CopyButton label="Copy this answer" text={() => prefix + answer.text} />}
      </header>
      <p data-testid="answer" className={`max-w-[72ch] leading-relaxed whitespace-pre-wrap [overflow-wrap:anywhere] ${open ? "caret" : ""}`}>
        {prefix && <span className="text-ink-3">{prefix}</span>}
        {prefix ? answer?.text : answer?.text.trimStart()}
      </p>
      {answer?.error && (
        <div className="mt-2">
          <Notice tone="bad" message={answer.error.message} action={answer.error.action}>
            {onRetry && (
              <Button icon="retry" onClick={onRetry}>
                Try again
              </Button>
            )}
          </Notice>
        </div>
      )}
      <Footer answer={answer} open={open} waiting={writing && answer === undefined} live={live} />
    </article>
  );
}

function Footer({ answer, open, waiting, live }: { answer: Answer | undefined; open: boolean; waiting: boolean; live: Live | null }) {
  const parts: string[] = [];
  if (waiting) parts.push("waits for the other model");
  else if (open && !live) parts.push("reading the prompt");
  else if (open && live) parts.push(`${formatNumber(live.tokensPerSecond)} tokens/s`, `first token ${formatDuration(live.firstTokenMs)}`, `${live.tokens} tokens`);
  else if (answer) {
    const { stats, finish } = answer;
    if (stats) {
      parts.push(`${formatNumber(stats.tokensPerSecond)} tokens/s`, `first token ${formatDuration(stats.timeToFirstTokenMs)}`, `${stats.tokens} tokens`, `prompt ${stats.promptTokens}`);
      if (stats.reusedTokens) parts.push(`${stats.reusedTokens} reused`);
      parts.push(`seed ${stats.seed}`);
    }
    const ending = finish === null ? "interrupted" : endings[finish];
    if (ending) parts.push(ending);
  }
  if (parts.length === 0) return null;
  return (
    <p data-testid="timings" className="tabular mt-2 flex flex-wrap gap-x-3 text-2xs text-ink-3">
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </p>
  );
}
