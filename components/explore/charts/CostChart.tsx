"use client";

import type { ReactNode } from "react";
import { CartesianGrid, Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { formatCount } from "@/components/ui/format";
import type { CostPoint } from "@/lib/hybrid/costs";
import { ChartTooltip } from "./ChartTooltip";
import type { Compared } from "./models";
import { axis, below, grid, logTicks } from "./style";

type CostChartProps = {
  title: string;
  unit: string;
  description: ReactNode;
  name: readonly string[];
  models: readonly Compared[];
  contexts: readonly number[];
  value: (point: CostPoint) => number;
  format: (value: number) => string;
  /** Where the user's text ends. */
  contextTokens: number;
  /** The longest context that the family is made for. */
  limit: number;
};

const TICKS = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144];

/** A cost of each model against the length of the context, on log axes. */
export function CostChart({ title, unit, description, name, models, contexts, value, format, contextTokens, limit }: CostChartProps) {
  const data = contexts.map((context, index) => ({
    context,
    ...Object.fromEntries(models.map(({ key, costs }) => [key, costs.curve[index] ? value(costs.curve[index]) : null])),
  }));
  const at = (key: string, context: number): string => {
    const point = models.find((model) => model.key === key)?.costs.curve.find((each) => each.context === context);
    return point ? format(value(point)) : "–";
  };
  const last = contexts.at(-1) ?? 1;
  const all = models.flatMap(({ costs }) => costs.curve.map(value));
  const ticks = logTicks(Math.min(...all), Math.max(...all));
  return (
    <ChartFrame
      title={title}
      unit={unit}
      description={description}
      name={name}
      table={{ columns: ["context, tokens", ...models.map(({ label }) => label)], rows: data.map((row, index) => [row.context, ...models.map(({ costs }) => (costs.curve[index] ? value(costs.curve[index]) : null))]) }}
      legend={models.map(({ label, colour, dash }) => ({ label, colour, mark: dash ? ("dash" as const) : ("line" as const) }))}
    >
      <ResponsiveContainer width="100%" height={240}>
        <LineChart data={data} margin={{ top: 18, right: 14, bottom: 14, left: 2 }} aria-label={title}>
          <CartesianGrid {...grid} />
          <XAxis {...axis} dataKey="context" type="number" scale="log" domain={[contexts[0] ?? 1, last]} ticks={TICKS.filter((tick) => tick <= last)} tickFormatter={shortCount} label={below("context, tokens")} />
          <YAxis {...axis} width={56} scale="log" domain={[ticks[0] ?? 1, ticks.at(-1) ?? 10]} ticks={ticks} tickFormatter={format} />
          <Tooltip
            isAnimationActive={false}
            content={({ active, label }) =>
              active && typeof label === "number" ? (
                <ChartTooltip title={`${formatCount(label)} tokens`} rows={models.map((model) => ({ label: model.label, value: at(model.key, label), colour: model.colour }))} />
              ) : null
            }
          />
          {limit < last && <ReferenceLine x={limit} stroke="var(--line-strong)" strokeDasharray="2 3" label={{ value: "model's limit", position: "top", fontSize: 10, fill: "var(--ink-3)" }} />}
          {contextTokens >= (contexts[0] ?? 1) && <ReferenceLine x={contextTokens} stroke="var(--accent)" label={{ value: "your text", position: "top", fontSize: 10, fill: "var(--accent)" }} />}
          {models.map(({ key, label, colour, dash }) => (
            <Line key={key} dataKey={key} name={label} type="linear" stroke={colour} strokeWidth={2} {...(dash ? { strokeDasharray: dash } : {})} dot={false} activeDot={{ r: 3 }} isAnimationActive={false} />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </ChartFrame>
  );
}

/** Powers of two as `64`, `1k`, `16k`. */
export function shortCount(value: number): string {
  return value >= 1024 ? `${Math.round(value / 1024)}k` : String(value);
}
