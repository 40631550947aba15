"use client";

import { useState } from "react";
import { CartesianGrid, Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { ChartTooltip } from "@/components/explore/charts/ChartTooltip";
import { axis, axisNumber, below, grid } from "@/components/explore/charts/style";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { SelectField } from "@/components/ui/Field";
import { formatNumber } from "@/components/ui/format";
import { REPORTED_SPECULATION } from "@/lib/evaluation/reported-speculation";
import type { ResultsFile } from "@/lib/home/results";
import { kernelTimes, places, recorded } from "./recorded";

const colours = ["var(--attention)", "var(--mamba)", "var(--good)", "var(--ink-2)"];
const dashes = [undefined, "7 3", "2 3", "9 3 2 3"];
type Series = { readonly key: string; readonly label: string; readonly colour: string; readonly dash: string | undefined; readonly points: ReadonlyMap<number, number> };

function seriesOf(points: readonly { label: string; x: number; y: number }[]): Series[] {
  return [...new Set(points.map(({ label }) => label))].map((label, index) => ({
    key: `s${index}`,
    label,
    colour: colours[index % colours.length] ?? "var(--ink-2)",
    dash: dashes[Math.floor(index / colours.length) % dashes.length],
    points: new Map(points.filter((point) => point.label === label).map(({ x, y }) => [x, y])),
  }));
}

type CurvesProps = { title: string; unit: string; description: string; name: readonly string[]; axisLabel: string; series: readonly Series[]; empty: string; suffix: string; controls?: React.ReactNode; baseline?: number };

function Curves({ title, unit, description, name, axisLabel, series, empty, suffix, controls, baseline }: CurvesProps) {
  const xs = [...new Set(series.flatMap(({ points }) => [...points.keys()]))].sort((one, other) => one - other);
  const data = xs.map((x) => ({ x, ...Object.fromEntries(series.map(({ key, points }) => [key, points.get(x) ?? null])) }));
  return (
    <ChartFrame
      title={title}
      unit={unit}
      description={description}
      name={name}
      controls={controls}
      table={{ columns: ["series", axisLabel, unit], rows: series.flatMap(({ label, points }) => [...points].map(([x, y]) => [label, x, y])) }}
      legend={series.map(({ label, colour, dash }) => ({ label, colour, mark: dash ? ("dash" as const) : ("line" as const) }))}
      empty={series.length === 0 ? empty : undefined}
    >
      <ResponsiveContainer width="100%" height={240}>
        <LineChart data={data} margin={{ top: 8, right: 14, bottom: 14, left: 2 }} aria-label={title}>
          <CartesianGrid {...grid} />
          <XAxis {...axis} dataKey="x" type="number" domain={["dataMin", "dataMax"]} ticks={xs} label={below(axisLabel)} />
          <YAxis {...axis} width={46} domain={[0, "auto"]} tickFormatter={axisNumber} />
          {baseline !== undefined && <ReferenceLine y={baseline} stroke="var(--line-strong)" />}
          <Tooltip
            isAnimationActive={false}
            content={({ active, label: x }) =>
              active && typeof x === "number" ? (
                <ChartTooltip title={`${axisLabel} ${x}`} rows={series.flatMap(({ label, colour, points }) => (points.has(x) ? [{ label, colour, value: `${formatNumber(points.get(x) ?? Number.NaN)}${suffix}` }] : []))} />
              ) : null
            }
          />
          {series.map(({ key, label, colour, dash }) => (
            <Line key={key} dataKey={key} name={label} stroke={colour} strokeWidth={2} {...(dash ? { strokeDasharray: dash } : {})} dot={{ r: 2.5, fill: colour, strokeDasharray: "none" }} isAnimationActive={false} connectNulls />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </ChartFrame>
  );
}

/** What was measured elsewhere and recorded, and what others reported. */
export function RecordedPanel({ results, family, name }: { results: readonly ResultsFile[]; family: string; name: readonly string[] }) {
  const [metric, setMetric] = useState<"speedup" | "acceptance" | "tokens_per_cycle">("speedup");
  const [place, setPlace] = useState<string | null>(null);
  const all = recorded(results, `speculative.${metric}`).filter((entry) => entry.family === family);
  const found = Object.keys(places).filter((candidate) => all.some(({ provider }) => provider === candidate));
  const shown = found.find((candidate) => candidate === place) ?? found[0];
  const own = all.filter(({ provider }) => provider === shown);
  const suffix = metric === "speedup" ? "×" : "";
  const adaptive = own.filter(({ k }) => k === "adaptive").map(({ series, value }) => `${series}: ${formatNumber(value)}${suffix}`);
  const measured = seriesOf(own.flatMap(({ series, k, value }) => (k === "adaptive" ? [] : [{ label: series, x: k, y: value }])));
  const times = kernelTimes(results);
  const kernel = seriesOf(times.flatMap(({ width, k, microseconds, single }) => [{ label: width, x: k, y: single / microseconds }]));
  const units = { speedup: "times plain decoding", acceptance: "share of drafts", tokens_per_cycle: "tokens a cycle" };
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <Curves
        title="Recorded runs of these models"
        unit={units[metric]}
        description="From results/speculative.json, with the machine and the date in the list on the Models page."
        name={name}
        axisLabel="K"
        series={measured}
        suffix={suffix}
        {...(metric === "speedup" ? { baseline: 1 } : {})}
        empty="Nothing is recorded for this family yet: npm run bench:speculative measures it in a browser, mambascope_trainer speculate on a GPU node."
        controls={
          <div className="flex flex-wrap gap-3 *:w-48">
            {shown !== undefined && <SelectField label="Recorded on" value={shown} options={found.map((value) => ({ value, label: places[value] ?? value }))} onChange={setPlace} />}
            <SelectField
              label="Measure"
              value={metric}
              options={[
                { value: "speedup", label: "Speed-up" },
                { value: "acceptance", label: "Acceptance" },
                { value: "tokens_per_cycle", label: "Tokens a cycle" },
              ]}
              onChange={setMetric}
            />
          </div>
        }
      />
      {adaptive.length > 0 && <p className="tabular text-xs text-ink-2">Adaptive K. {adaptive.join("; ")}.</p>}
      <Curves
        title="The state update alone, on a GPU node"
        unit="times single steps, for 32 tokens"
        description="The multi-step kernel replays K tokens and takes K new ones with the state read and written once; single steps read and write it for every token. One layer of each width."
        name={name}
        axisLabel="K"
        series={kernel}
        suffix="×"
        baseline={1}
        empty="Nothing is recorded yet: mambascope_trainer speculate --kernel measures it on a GPU."
      />
      <section aria-label="Reported by others" className="rounded-xl border border-line bg-surface p-4 text-xs sm:p-5">
        <h3 className="text-[13px] font-semibold">Reported by others</h3>
        <p className="mt-1 max-w-[72ch] text-ink-2">Figures from the literature, not measured here: other models, other machines.</p>
        <ul className="mt-2 grid gap-1">
          {REPORTED_SPECULATION.map(({ model, speedup, acceptance, source }) => (
            <li key={model} className="tabular">
              {model}: {formatNumber(speedup)}× at {formatNumber(100 * acceptance)} % acceptance.{" "}
              <a href={source.url} target="_blank" rel="noreferrer" className="text-ink-2 underline decoration-line-strong underline-offset-2 hover:text-ink">
                {source.title}
              </a>{" "}
              ({source.reference}).
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}
