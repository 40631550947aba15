"use client";

import { formatBytes, formatDuration, formatNumber } from "@/components/ui/format";
import { progressOf } from "./answer";
import type { Run } from "./engine";

/** A run in numbers: while it goes on, and at its end beside plain decoding. */
export function RunSummary({ run }: { run: Run }) {
  const { plain, result, cycles, first } = run;
  const now = progressOf(cycles);
  const rate = result ? result.totals.tokensPerSecond : now.milliseconds > 0 ? (now.tokens * 1000) / now.milliseconds : 0;
  const acceptance = now.decided > 0 ? now.accepted / now.decided : null;
  const speedup = result && plain && plain.tokensPerSecond > 0 ? rate / plain.tokensPerSecond : null;
  const same = result && plain ? result.tokenIds.length === plain.tokenIds.length && result.tokenIds.every((token, index) => token === plain.tokenIds[index]) : null;
  const figures: { label: string; value: string; note?: string; strong?: boolean }[] = [
    { label: "Speed-up", value: speedup === null ? "–" : `${formatNumber(speedup)}×`, note: speedup === null ? (plain ? "when the run ends" : "needs plain decoding") : "over plain decoding", strong: true },
    { label: "Speed", value: rate > 0 ? formatNumber(rate) : "–", note: plain ? `tokens/s; plainly ${formatNumber(plain.tokensPerSecond)}` : "tokens/s" },
    { label: "Acceptance", value: acceptance === null ? "–" : `${formatNumber(100 * acceptance)} %`, note: `${now.accepted} of ${now.decided} decided drafts` },
    { label: "Tokens a cycle", value: now.cycles > 0 ? formatNumber(now.tokens / now.cycles) : "–", note: `${now.cycles} cycles, ${now.tokens + (first ? 1 : 0)} tokens` },
    { label: "Mean cycle", value: now.cycles > 0 ? formatDuration(now.milliseconds / now.cycles) : "–", note: "draft, verify, read back" },
  ];
  return (
    <div className="grid gap-2" data-testid="run-summary" data-phase={run.phase}>
      <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-xl border border-line bg-line sm:grid-cols-3 lg:grid-cols-5">
        {figures.map(({ label, value, note, strong }) => (
          <div key={label} className="bg-surface px-4 py-3 last:max-sm:col-span-2 sm:max-lg:last:col-span-2">
            <dt className="text-2xs text-ink-3">{label}</dt>
            <dd className={`tabular mt-0.5 ${strong ? "text-xl font-semibold" : "text-lg"} tracking-tight`}>{value}</dd>
            <dd className="tabular text-2xs text-ink-2">{note}</dd>
          </div>
        ))}
      </dl>
      <p role="status" className="tabular text-2xs text-ink-3">
        {run.phase === "plain" && `Decoding plainly: ${run.plainTokens ?? 0} tokens.`}
        {run.phase === "speculative" && `Decoding speculatively: ${now.tokens + (first ? 1 : 0)} tokens.`}
        {run.phase === "done" && !result && "Stopped."}
        {result && (
          <>
            {finishes[result.finishReason]}{" "}
            {same === true && "The text is that of plain decoding, token for token. "}
            {same === false && "The text differs from plain decoding: "}
            {same === false && "sampling draws anew, and on a GPU two nearly equal logits can change places. "}
            To take tokens back it keeps {formatBytes(result.memory.checkpointBytes)} of states and {formatBytes(result.memory.inputBytes)} of inputs; a state a token would be{" "}
            {formatBytes(result.memory.statePerTokenBytes)}.{result.memory.featureBytes > 0 && ` Hidden states that drafts may read take ${formatBytes(result.memory.featureBytes)}.`}
          </>
        )}
      </p>
    </div>
  );
}

const finishes = { stop: "The answer ended.", length: "The limit of tokens was reached.", context: "The context is full.", cancelled: "Stopped." } as const;
