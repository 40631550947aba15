"use client";

import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { ChartTooltip } from "@/components/explore/charts/ChartTooltip";
import { axis, below, grid } from "@/components/explore/charts/style";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { formatNumber } from "@/components/ui/format";

export type BarRow = { readonly label: string; readonly note: string; readonly values: readonly (number | null)[] };
export type BarSeries = { readonly name: string; readonly colour: string };

type BarsProps = {
  title: string;
  unit: string;
  description: string;
  name: readonly string[];
  rows: readonly BarRow[];
  series: readonly BarSeries[];
  /** Below the horizontal axis. */
  axisLabel: string;
  /** Values are shares of 1, shown in percent. */
  percent?: boolean;
  empty: string;
};

/** Bars by category, one colour a series. */
export function Bars({ title, unit, description, name, rows, series, axisLabel, percent = false, empty }: BarsProps) {
  const shown = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : percent ? `${formatNumber(100 * value)} %` : formatNumber(value));
  const data = rows.map(({ label, values }) => ({ label, ...Object.fromEntries(values.map((value, index) => [`s${index}`, value])) }));
  return (
    <ChartFrame
      title={title}
      unit={unit}
      description={description}
      name={name}
      table={{ columns: [axisLabel, ...series.map((each) => each.name), "of"], rows: rows.map(({ label, values, note }) => [label, ...values, note]) }}
      legend={series.length > 1 ? series.map((each) => ({ label: each.name, colour: each.colour, mark: "square" as const })) : []}
      empty={rows.length === 0 ? empty : undefined}
    >
      <ResponsiveContainer width="100%" height={200}>
        <BarChart data={data} margin={{ top: 8, right: 8, bottom: 14, left: 2 }} aria-label={title}>
          <CartesianGrid {...grid} />
          <XAxis {...axis} dataKey="label" interval={0} label={below(axisLabel)} />
          <YAxis {...axis} width={40} domain={percent ? [0, 1] : [0, "auto"]} tickFormatter={(value: number) => (percent ? `${Math.round(100 * value)} %` : String(value))} />
          <Tooltip
            isAnimationActive={false}
            cursor={{ fill: "var(--sunken)" }}
            content={({ active, label }) => {
              const row = rows.find((candidate) => candidate.label === label);
              return active && row ? (
                <ChartTooltip title={`${axisLabel} ${row.label}, ${row.note}`} rows={series.map((each, index) => ({ label: each.name, value: shown(row.values[index]), colour: each.colour }))} />
              ) : null;
            }}
          />
          {series.map((each, index) => (
            <Bar key={each.name} dataKey={`s${index}`} name={each.name} fill={each.colour} isAnimationActive={false} radius={[2, 2, 0, 0]} maxBarSize={44} />
          ))}
        </BarChart>
      </ResponsiveContainer>
    </ChartFrame>
  );
}
