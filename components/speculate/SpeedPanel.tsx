"use client";

import { CartesianGrid, Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { ChartTooltip } from "@/components/explore/charts/ChartTooltip";
import { axis, below, grid } from "@/components/explore/charts/style";
import { Button, IconButton } from "@/components/ui/Button";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { formatNumber } from "@/components/ui/format";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { stop, useEngine } from "./engine";
import { summarise, type Summary, type Sweep } from "./sweeps";

/** Colours with a dash each: told apart without colour too. The first is the newest sweep's. */
const looks = [
  { colour: "var(--mamba)", dash: undefined },
  { colour: "var(--attention)", dash: "7 3" },
  { colour: "var(--good)", dash: "2 3" },
  { colour: "var(--ink-2)", dash: "9 3 2 3" },
] as const;

type SpeedPanelProps = { sweeps: readonly Sweep[]; blocked: boolean; onSweep: () => void; onDrop: (sweep: Sweep) => void; name: readonly string[] };

/** The speed-up against K: measured, and what the theory makes of the measured acceptance and costs. */
export function SpeedPanel({ sweeps, blocked, onSweep, onDrop, name }: SpeedPanelProps) {
  const { sweep: going, busy } = useEngine();
  const shown = sweeps.slice(0, looks.length).map((sweep, index) => ({ sweep, label: `${sweep.target}, ${sweep.draft}`, ...(looks[index] ?? looks[0]), summaries: summarise(sweep.points) }));
  const numbered = (summaries: readonly Summary[]) => summaries.filter((summary): summary is Summary & { K: number } => summary.K !== "adaptive");
  const Ks = [...new Set(shown.flatMap(({ summaries }) => numbered(summaries).map(({ K }) => K)))].sort((one, other) => one - other);
  const data = Ks.map((K) => {
    const at = shown.map(({ summaries }) => summaries.find((summary) => summary.K === K));
    return { K, ...Object.fromEntries(at.flatMap((summary, index) => [[`m${index}`, summary?.speedup ?? null], [`t${index}`, summary?.theory?.speedup ?? null]])) };
  });
  const adaptive = shown.flatMap((each) => each.summaries.filter(({ K }) => K === "adaptive").map((summary) => ({ ...each, summary })));

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <ChartFrame
        title="Speed-up against K"
        unit="times plain decoding's tokens/s"
        description={
          <>
            Greedy, several kinds of prompt, plain decoding before each. Thin lines are the theory, (1 − α<sup>K+1</sup>)/(1 − α) tokens a cycle over the measured cost of a cycle, with the
            acceptance α that was measured (Leviathan et al., arXiv 2211.17192).
          </>
        }
        name={name}
        table={{
          columns: ["target", "draft", "device", "date", "K", "speed-up", "theory", "tokens/s", "plain tokens/s", "acceptance", "tokens a cycle", "cost of a cycle", "prompts"],
          rows: shown.flatMap(({ sweep, summaries }) =>
            summaries.map((summary) => [
              sweep.target,
              sweep.draft,
              sweep.device,
              sweep.date.slice(0, 10),
              summary.K,
              summary.speedup,
              summary.theory?.speedup ?? null,
              summary.tokensPerSecond,
              summary.plainTokensPerSecond,
              summary.acceptance,
              summary.tokensPerCycle,
              summary.costRatio,
              summary.prompts,
            ]),
          ),
        }}
        legend={shown.map(({ label, colour, dash }) => ({ label, colour, mark: dash ? ("dash" as const) : ("line" as const) }))}
        controls={
          going ? (
            <div className="flex w-full items-center gap-3">
              <div className="grid min-w-0 flex-1 gap-1">
                <p role="status" className="tabular truncate text-xs text-ink-2">
                  {going.done} of {going.total} measured. {going.message}
                </p>
                <ProgressBar label="Measuring the speed-up over K" done={going.done} total={going.total} />
              </div>
              <Button icon="stop" onClick={stop}>
                Stop
              </Button>
            </div>
          ) : (
            <Button icon="play" onClick={onSweep} disabled={blocked || busy !== null}>
              {shown.length > 0 ? "Measure this target and draft" : "Measure all K"}
            </Button>
          )
        }
        empty={data.length === 0 ? (going ? "The first points will appear when the sweep ends or is stopped." : "Not measured on this device yet. Load a target and a draft, then measure.") : undefined}
      >
        <ResponsiveContainer width="100%" height={260}>
          <LineChart data={data} margin={{ top: 8, right: 14, bottom: 14, left: 2 }} aria-label="Speed-up against K">
            <CartesianGrid {...grid} />
            <XAxis {...axis} dataKey="K" type="number" domain={["dataMin", "dataMax"]} ticks={Ks} label={below("drafts a cycle, K")} />
            <YAxis {...axis} width={40} domain={[0, "auto"]} tickFormatter={(value: number) => `${formatNumber(value)}×`} />
            <ReferenceLine y={1} stroke="var(--line-strong)" />
            <Tooltip
              isAnimationActive={false}
              content={({ active, label }) =>
                active && typeof label === "number" ? (
                  <ChartTooltip
                    title={`K = ${label}`}
                    rows={shown.flatMap(({ label: series, colour, summaries }) => {
                      const summary = summaries.find(({ K }) => K === label);
                      if (!summary) return [];
                      return [
                        { label: series, value: `${formatNumber(summary.speedup)}×`, colour },
                        { label: "theory", value: `${formatNumber(summary.theory?.speedup ?? Number.NaN)}×` },
                        { label: "acceptance", value: `${formatNumber(100 * summary.acceptance)} %` },
                        { label: "cost of a cycle", value: `${formatNumber(summary.costRatio)} tokens` },
                      ];
                    })}
                  />
                ) : null
              }
            />
            {shown.flatMap(({ label, colour, dash }, index) => [
              <Line key={`t${index}`} dataKey={`t${index}`} name={`${label}, theory`} stroke={colour} strokeWidth={1} strokeOpacity={0.6} strokeDasharray="1 3" dot={false} isAnimationActive={false} connectNulls />,
              <Line key={`m${index}`} dataKey={`m${index}`} name={label} stroke={colour} strokeWidth={2} {...(dash ? { strokeDasharray: dash } : {})} dot={{ r: 3, fill: colour, strokeDasharray: "none" }} isAnimationActive={false} connectNulls />,
            ])}
          </LineChart>
        </ResponsiveContainer>
      </ChartFrame>
      {adaptive.length > 0 && (
        <p className="tabular text-xs text-ink-2">
          {adaptive.map(({ label, summary }) => `Adaptive K, ${label}: ${formatNumber(summary.speedup)}× at ${formatNumber(summary.tokensPerCycle)} tokens a cycle.`).join(" ")}
        </p>
      )}
      {sweeps.length > 0 && (
        <section aria-label="Measured on this device" className="grid gap-1.5">
          <h3 className="text-xs font-medium text-ink-2">Measured on this device, kept in this browser; the newest four are drawn</h3>
          <ul className="divide-y divide-line rounded-lg border border-line bg-surface">
            {sweeps.map((sweep) => (
              <li key={sweep.id} className="tabular flex items-center gap-3 px-3 py-1.5 text-xs">
                <span className="min-w-0 flex-1 [overflow-wrap:anywhere]">
                  {sweep.target}, {sweep.draft}
                  <span className="block text-2xs text-ink-3">
                    {sweep.family}, {sweep.device}, {sweep.date.slice(0, 16).replace("T", " ")}, {sweep.points.length} points{sweep.complete ? "" : ", stopped before its end"}
                    {sweep.points.some(({ exact }) => exact === false) ? ", some answers differ from plain decoding" : ""}
                  </span>
                </span>
                <IconButton icon="trash" label={`Remove the measurement of ${sweep.target}, ${sweep.draft}`} onClick={() => onDrop(sweep)} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
