"use client";

import { type KeyboardEvent, useEffect, useMemo, useRef } from "react";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { useWidth } from "@/components/ui/chart-hooks";
import { formatDuration, formatNumber } from "@/components/ui/format";
import type { Cycle, CycleTimings } from "@/workers/speculative-protocol";
import { cycleMs } from "./answer";

const lanes: { key: keyof CycleTimings; label: string; colour: string }[] = [
  { key: "draftMs", label: "draft", colour: "var(--mamba)" },
  { key: "verifyMs", label: "verify", colour: "var(--attention)" },
  { key: "readbackMs", label: "read back", colour: "var(--good)" },
  { key: "otherMs", label: "other", colour: "var(--ink-3)" },
];
const LANE = 18;
const GAP = 4;
const DOTS = 40;
const AXIS = 18;
/** Narrowest mean width of a cycle, in pixels: what does not fit scrolls. */
const CYCLE = 22;

type CycleTimelineProps = { cycles: readonly Cycle[]; selected: number | null; onSelect: (cycle: number | null) => void; name: readonly string[]; following: boolean };

/** Each cycle's work on a time axis, a lane a kind of work; above, its drafts as dots. */
export function CycleTimeline({ cycles, selected, onSelect, name, following }: CycleTimelineProps) {
  const [box, width] = useWidth();
  const scroller = useRef<HTMLDivElement>(null);
  const layout = useMemo(() => place(cycles, Math.max(width, 300)), [cycles, width]);
  const height = DOTS + lanes.length * (LANE + GAP) + AXIS;

  useEffect(() => {
    if (following && scroller.current) scroller.current.scrollLeft = scroller.current.scrollWidth;
  }, [following, layout.width]);

  const press = (event: KeyboardEvent) => {
    const at = selected ?? -1;
    const next = { ArrowRight: at + 1, ArrowLeft: at < 0 ? cycles.length - 1 : at - 1, Home: 0, End: cycles.length - 1 }[event.key];
    if (event.key === "Escape") onSelect(null);
    if (next === undefined || cycles.length === 0) return;
    event.preventDefault();
    const chosen = Math.min(Math.max(next, 0), cycles.length - 1);
    onSelect(chosen);
    const span = layout.spans[chosen];
    if (span && scroller.current) scroller.current.scrollTo({ left: span.left - scroller.current.clientWidth / 2 });
  };

  return (
    <ChartFrame
      title="Cycles"
      unit="measured milliseconds"
      description="A cycle drafts K tokens, has the target read them in one pass, and reads the decision back; on a GPU both go at once, and draft is then the time to submit it. Filled dots stand, the ring fell, small dots were not decided."
      name={name}
      table={{
        columns: ["cycle", "drafts", "accepted", "draft, ms", "verify, ms", "read back, ms", "other, ms", "read-backs", "text"],
        rows: cycles.map(({ index, drafts, accepted, timings, readBacks, tokens }) => [index + 1, drafts.length, accepted, timings.draftMs, timings.verifyMs, timings.readbackMs, timings.otherMs, readBacks, tokens.map(({ text }) => text).join("")]),
      }}
      legend={lanes.map(({ label, colour }) => ({ label, colour, mark: "square" as const }))}
      empty={cycles.length === 0 ? "The cycles of a run appear here." : undefined}
    >
      <div ref={box}>
        <div
          ref={scroller}
          role="listbox"
          tabIndex={0}
          aria-label="Cycles, left and right arrows choose one"
          aria-activedescendant={selected === null ? undefined : `cycle-${selected}`}
          onKeyDown={press}
          className="overflow-x-auto rounded-md"
        >
          <svg data-figure width={layout.width} height={height} viewBox={`0 0 ${layout.width} ${height}`} className="block">
            {lanes.map(({ key }, lane) => (
              <rect key={key} x={0} y={DOTS + lane * (LANE + GAP)} width={layout.width} height={LANE} fill="var(--sunken)" />
            ))}
            {layout.ticks.map(({ x, label }) => (
              <text key={label} x={x} y={height - 4} fontSize={10} fill="var(--ink-3)" textAnchor={x === 0 ? "start" : "middle"}>
                {label}
              </text>
            ))}
            {cycles.map((cycle, index) => {
              const span = layout.spans[index];
              return span ? <CycleMarks key={cycle.index} cycle={cycle} span={span} scale={layout.scale} chosen={index === selected} height={height} onSelect={() => onSelect(index)} /> : null;
            })}
          </svg>
        </div>
      </div>
    </ChartFrame>
  );
}

type Span = { left: number; width: number };

function CycleMarks({ cycle, span, scale, chosen, height, onSelect }: { cycle: Cycle; span: Span; scale: number; chosen: boolean; height: number; onSelect: () => void }) {
  const starts = lanes.map((_, lane) => span.left + scale * lanes.slice(0, lane).reduce((sum, { key }) => sum + cycle.timings[key], 0));
  const step = Math.min(5, (DOTS - 6) / Math.max(cycle.drafts.length, 1));
  return (
    <g role="option" id={`cycle-${cycle.index}`} aria-selected={chosen} aria-label={describe(cycle)} onClick={onSelect} onPointerEnter={onSelect} className="cursor-pointer">
      <rect x={span.left} y={0} width={span.width} height={height - AXIS} fill={chosen ? "var(--accent-soft)" : "transparent"} stroke={chosen ? "var(--accent)" : "none"} />
      {cycle.drafts.map(({ accepted }, place) => (
        <circle
          key={place}
          cx={span.left + span.width / 2}
          cy={DOTS - 5 - place * step}
          r={accepted === null ? 0.9 : Math.min(2, step / 2 - 0.3)}
          fill={accepted === null ? "var(--ink-3)" : accepted ? "var(--attention)" : "var(--surface)"}
          stroke={accepted === false ? "var(--mamba)" : "none"}
        />
      ))}
      {lanes.map(({ key, colour }, lane) => {
        const width = cycle.timings[key] * scale;
        return <rect key={key} x={starts[lane]} y={DOTS + lane * (LANE + GAP)} width={Math.max(width - 0.5, 0.5)} height={LANE} fill={colour} rx={1} />;
      })}
    </g>
  );
}

function describe(cycle: Cycle): string {
  return `Cycle ${cycle.index + 1}: ${cycle.accepted} of ${cycle.drafts.length} drafts stood, ${formatDuration(cycleMs(cycle))}`;
}

/** Where each cycle lies: one after the other by what they took, so that pauses of slow motion leave no gaps. */
function place(cycles: readonly Cycle[], room: number): { spans: Span[]; width: number; scale: number; ticks: { x: number; label: string }[] } {
  const total = cycles.reduce((sum, cycle) => sum + cycleMs(cycle), 0);
  const width = Math.max(room, cycles.length * CYCLE);
  const scale = total > 0 ? width / total : 1;
  let left = 0;
  const spans = cycles.map((cycle) => {
    const span = { left, width: cycleMs(cycle) * scale };
    left += span.width;
    return span;
  });
  const wanted = 90 / scale;
  const unit = 10 ** Math.floor(Math.log10(Math.max(wanted, 1e-3)));
  const stride = [1, 2, 5, 10].map((factor) => factor * unit).find((candidate) => candidate >= wanted) ?? wanted;
  const ticks = total > 0 ? Array.from({ length: Math.floor(total / stride) + 1 }, (_, index) => ({ x: index * stride * scale, label: index === 0 ? "0 ms" : formatNumber(index * stride) })) : [];
  return { spans, width, scale, ticks: ticks.filter(({ x }) => x < width - 20) };
}
