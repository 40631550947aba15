"use client";

import { memo, useMemo } from "react";
import { CartesianGrid, Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { ChartFrame } from "@/components/ui/ChartFrame";
import type { LayerInside } from "@/lib/inference/probe/types";
import { ChartTooltip } from "./ChartTooltip";
import { formatWeight, nameToken, timeTable } from "./inside-data";
import { axis, axisNumber, below, grid } from "./style";

type TimeChartProps = {
  title: string;
  unit: string;
  description: string;
  name: readonly string[];
  inside: LayerInside;
  pieces: readonly string[];
  values: Float32Array;
  head: number;
  /** Range of the y axis where it is known. */
  domain?: [number, number];
  /** A position to mark. */
  mark: number | null;
};

/** A quantity of every head along the text; the chosen head stands out. */
export const TimeChart = memo(function TimeChart({ title, unit, description, name, inside, pieces, values, head, domain, mark }: TimeChartProps) {
  const { tokens, heads } = inside;
  const data = useMemo(
    () => Array.from({ length: tokens }, (_, token) => ({ token, ...Object.fromEntries(Array.from({ length: heads }, (_, index) => [`h${index}`, values[index * tokens + token] ?? 0])) })),
    [tokens, heads, values],
  );
  const table = useMemo(() => timeTable(inside, pieces, values), [inside, pieces, values]);
  const others = Array.from({ length: heads }, (_, index) => index).filter((index) => index !== head);
  const line = { type: "linear" as const, dot: false, isAnimationActive: false };
  return (
    <ChartFrame
      title={title}
      unit={unit}
      description={description}
      name={name}
      table={table}
      legend={[
        { label: `Head ${head}`, colour: "var(--mamba)", mark: "line" },
        { label: "Other heads", colour: "var(--ink-3)", mark: "line" },
      ]}
    >
      <ResponsiveContainer width="100%" height={200}>
        <LineChart data={data} margin={{ top: 6, right: 10, bottom: 14, left: 0 }} aria-label={title}>
          <CartesianGrid {...grid} />
          <XAxis {...axis} dataKey="token" type="number" domain={[0, Math.max(1, tokens - 1)]} label={below("position, tokens")} />
          <YAxis {...axis} width={46} domain={domain ?? [0, "auto"]} tickFormatter={axisNumber} />
          <Tooltip
            isAnimationActive={false}
            content={({ active, label }) =>
              active && typeof label === "number" ? (
                <ChartTooltip title={`Token ${nameToken(pieces, label)}`} rows={[{ label: `Head ${head}`, value: `${formatWeight(values[head * tokens + label] ?? 0)}`, colour: "var(--mamba)" }]} />
              ) : null
            }
          />
          {others.map((index) => (
            <Line key={index} {...line} dataKey={`h${index}`} stroke="var(--ink-3)" strokeOpacity={0.35} strokeWidth={1} activeDot={false} />
          ))}
          <Line {...line} key="chosen" dataKey={`h${head}`} stroke="var(--mamba)" strokeWidth={2} activeDot={{ r: 3 }} />
          {mark !== null && <ReferenceLine x={mark} stroke="var(--ink-3)" strokeDasharray="3 3" />}
        </LineChart>
      </ResponsiveContainer>
    </ChartFrame>
  );
});
