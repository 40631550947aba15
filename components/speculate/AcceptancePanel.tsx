"use client";

import { progressOf } from "./answer";
import { Bars } from "./charts";
import type { Run } from "./engine";
import { kindNames } from "./prompts";
import { byKind, byPosition, type Sweep } from "./sweeps";

/** Where in a cycle drafts fall, how many stand together, and for which prompts. */
export function AcceptancePanel({ run, sweep, name }: { run: Run | null; sweep: Sweep | null; name: readonly string[] }) {
  const cycles = run?.cycles ?? [];
  const { lengths } = progressOf(cycles);
  const places = byPosition(cycles.map(({ drafts }) => drafts.flatMap(({ accepted }) => (accepted === null ? [] : [[1, accepted ? 1 : 0] as const]))));
  const swept = byPosition(sweep ? sweep.points.map((point) => point.byPosition) : []);
  const positions = Array.from({ length: Math.max(places.length, swept.length) }, (_, index) => index);
  const kinds = byKind(sweep?.points ?? []);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-2">
      <Bars
        title="Acceptance by draft position"
        unit="share accepted, given that all before it stood"
        description="A draft far along the cycle stands on guesses of its own, and falls more often."
        name={name}
        axisLabel="position"
        percent
        series={[{ name: "this run", colour: "var(--attention)" }, ...(sweep ? [{ name: "the last sweep", colour: "var(--mamba)" }] : [])]}
        rows={positions.map((index) => ({
          label: String(index + 1),
          note: `${places[index]?.decided ?? 0}${sweep ? ` and ${swept[index]?.decided ?? 0}` : ""} decided`,
          values: [places[index]?.acceptance ?? null, ...(sweep ? [swept[index]?.acceptance ?? null] : [])],
        }))}
        empty="Run a prompt to see where drafts fall."
      />
      <Bars
        title="Accepted drafts a cycle"
        unit="cycles of this run"
        description="A cycle gives one token more than it accepts."
        name={name}
        axisLabel="accepted drafts"
        series={[{ name: "cycles", colour: "var(--attention)" }]}
        rows={lengths.map((count, length) => ({ label: String(length), note: `of ${cycles.length} cycles`, values: [count] }))}
        empty="Run a prompt to see how many drafts stand together."
      />
      <Bars
        title="Acceptance by kind of prompt"
        unit="share of decided drafts"
        description="Text that repeats itself or follows a form is easy to guess; free prose is not. Measured by the sweep over K."
        name={name}
        axisLabel="kind"
        percent
        series={[{ name: sweep ? `${sweep.target}, ${sweep.draft}` : "sweep", colour: "var(--mamba)" }]}
        rows={kinds.map(({ kind, decided, acceptance }) => ({ label: kind in kindNames ? kindNames[kind as keyof typeof kindNames] : kind, note: `${decided} drafts`, values: [acceptance] }))}
        empty="Measure the speed-up over K first: its prompts are of several kinds."
      />
    </div>
  );
}
