"use client";

import { CartesianGrid, LabelList, ReferenceLine, ResponsiveContainer, Scatter, ScatterChart, Tooltip, XAxis, YAxis } from "recharts";
import { formatNumber } from "@/components/ui/format";
import { ChartTooltip } from "./ChartTooltip";
import { axis, axisNumber, below } from "./style";

export type ScatterSeries = {
  readonly name: string;
  readonly colour: string;
  readonly shape: "circle" | "diamond" | "square" | "triangle";
  /** Joined by a line, from one share to the next. */
  readonly joined: boolean;
  /** Where the points' names stand; without, they have none. */
  readonly names?: "top" | "right";
  readonly points: readonly { readonly label: string; readonly attention: number; readonly value: number }[];
};

type ShareScatterProps = { label: string; series: readonly ScatterSeries[]; unit: string; fromZero: boolean; reference?: { value: number; label: string; side: "above" | "below" } };

const percent = (share: number): string => `${formatNumber(100 * share)} %`;

/** Points over the share of layers that keep attention. */
export function ShareScatter({ label, series, unit, fromZero, reference }: ShareScatterProps) {
  return (
    <ResponsiveContainer width="100%" height={260}>
      <ScatterChart margin={{ top: 14, right: 20, bottom: 14, left: 2 }} aria-label={label}>
        <CartesianGrid stroke="var(--line)" />
        <XAxis {...axis} type="number" dataKey="attention" domain={[-0.04, 1.04]} ticks={[0, 0.125, 0.25, 0.5, 0.75, 1]} tickFormatter={(share: number) => (share === 0.125 ? "12.5" : String(100 * share))} label={below("layers that keep attention, %")} />
        <YAxis {...axis} type="number" dataKey="value" width={48} domain={[fromZero ? 0 : "auto", "auto"]} tickFormatter={axisNumber} />
        <Tooltip
          isAnimationActive={false}
          cursor={{ strokeDasharray: "3 3", stroke: "var(--line-strong)" }}
          content={({ active, payload }) => {
            const point: unknown = payload?.[0]?.payload;
            if (!active || !isPoint(point)) return null;
            return <ChartTooltip title={point.label} rows={[{ label: "attention kept", value: percent(point.attention) }, { label: unit, value: formatNumber(point.value) }]} />;
          }}
        />
        {reference && <ReferenceLine y={reference.value} stroke="var(--attention)" strokeDasharray="4 3" label={{ value: reference.label, position: reference.side === "above" ? "insideBottomRight" : "insideTopRight", fontSize: 10, fill: "var(--attention)" }} />}
        {series.map(({ name, colour, shape, joined, names, points }) => (
          <Scatter key={name} name={name} data={[...points]} fill={colour} shape={shape} isAnimationActive={false} {...(joined ? { line: { stroke: colour, strokeOpacity: 0.45, strokeWidth: 1.5 } } : {})}>
            {names && <LabelList dataKey="label" position={names} fontSize={10} fill="var(--ink-2)" />}
          </Scatter>
        ))}
      </ScatterChart>
    </ResponsiveContainer>
  );
}

function isPoint(value: unknown): value is ScatterSeries["points"][number] {
  return typeof value === "object" && value !== null && "label" in value && "attention" in value && "value" in value;
}
