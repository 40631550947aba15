"use client";

import { formatDuration, formatNumber } from "@/components/ui/format";
import { visibleToken } from "@/components/ui/HeatmapAxes";
import type { Cycle } from "@/workers/speculative-protocol";
import { cycleMs } from "./answer";

/** A cycle's drafts with both models' probabilities, and what was decided. */
export function CycleDetail({ cycle, greedy }: { cycle: Cycle | null; greedy: boolean }) {
  if (!cycle) return <p className="rounded-md border border-dashed border-line-strong px-4 py-6 text-center text-xs text-ink-2">Point at a cycle, or move along them by arrow keys, to see its drafts and what was decided.</p>;
  const { timings } = cycle;
  return (
    <section aria-label={`Cycle ${cycle.index + 1}`} className="grid grid-cols-[minmax(0,1fr)] gap-2 rounded-xl border border-line bg-surface p-4">
      <div className="tabular flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <h3 className="text-[13px] font-semibold">Cycle {cycle.index + 1}</h3>
        <p className="text-2xs text-ink-2">
          {formatDuration(cycleMs(cycle))}: draft {formatDuration(timings.draftMs)}, verify {formatDuration(timings.verifyMs)}, read back {formatDuration(timings.readbackMs)}
        </p>
      </div>
      <div className="overflow-x-auto">
        <table className="tabular w-full text-left text-xs">
          <thead className="text-2xs text-ink-3">
            <tr>
              <th scope="col" className="py-1 pr-3 font-normal">Place</th>
              <th scope="col" className="pr-3 font-normal">Token</th>
              <th scope="col" className="pr-3 text-right font-normal">Draft&apos;s q</th>
              <th scope="col" className="pr-3 text-right font-normal">Target&apos;s p</th>
              {!greedy && <th scope="col" className="pr-3 text-right font-normal">Chance min(1, p/q)</th>}
              <th scope="col" className="font-normal">Decision</th>
            </tr>
          </thead>
          <tbody>
            {cycle.drafts.map(({ text, q, p, accepted }, place) => (
              <tr key={place} className="border-t border-line">
                <td className="py-1 pr-3">{place + 1}</td>
                <td className="pr-3 font-mono">{visibleToken(text)}</td>
                <td className="pr-3 text-right">{formatNumber(q)}</td>
                <td className="pr-3 text-right">{p === null ? "–" : formatNumber(p)}</td>
                {!greedy && <td className="pr-3 text-right">{p === null ? "–" : formatNumber(Math.min(1, q > 0 ? p / q : 1))}</td>}
                <td>{accepted === null ? <span className="text-ink-3">not decided</span> : accepted ? "✓ stands" : "✗ falls"}</td>
              </tr>
            ))}
            <tr className="border-t border-line">
              <td className="py-1 pr-3 text-ink-3">end</td>
              <td className="pr-3 font-mono">{visibleToken(cycle.decision.text)}</td>
              <td className="pr-3 text-right">–</td>
              <td className="pr-3 text-right">{formatNumber(cycle.decision.p)}</td>
              {!greedy && <td />}
              <td>{cycle.decision.kind === "bonus" ? "bonus: the target's next token" : "the target's correction"}</td>
            </tr>
          </tbody>
        </table>
      </div>
    </section>
  );
}
