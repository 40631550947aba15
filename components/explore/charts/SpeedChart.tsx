"use client";

import { CartesianGrid, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { useStore } from "zustand";
import { Button } from "@/components/ui/Button";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { formatCount, formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { ChartTooltip } from "./ChartTooltip";
import { shortCount } from "./CostChart";
import { cancelMeasure, CONTEXTS, measure, measureStore } from "./measure";
import type { Compared } from "./models";
import type { BenefitPanelProps } from "./props";
import { axis, axisNumber, below, grid } from "./style";

type SpeedChartProps = Pick<BenefitPanelProps, "family" | "architecture"> & { models: readonly Compared[]; name: readonly string[] };

/** Decoding speed of each model on this device, measured when asked for. */
export function SpeedChart({ family, architecture, models, name }: SpeedChartProps) {
  const { points, running, error } = useStore(measureStore);
  const patterns = models.filter((model, index) => models.findIndex(({ pattern }) => pattern === model.pattern) === index);
  const own = points.filter((point) => point.family === family);
  const measured = patterns.map((model) => ({ ...model, points: own.filter(({ pattern }) => pattern === model.pattern) })).filter((model) => model.points.length > 0);
  const devices = [...new Set(measured.flatMap((model) => model.points.map(({ device }) => device)))];
  const contexts = [...new Set(measured.flatMap((model) => model.points.map(({ context }) => context)))].sort((a, b) => a - b);
  const speedOf = (model: (typeof measured)[number], context: number): number | null => model.points.find((point) => point.context === context)?.tokensPerSecond ?? null;
  const data = contexts.map((context) => ({ context, ...Object.fromEntries(measured.map((model) => [model.key, speedOf(model, context)])) }));
  const start = () =>
    void measure({
      family,
      models: [...patterns].reverse().map(({ label, pattern }) => ({ label: label.toLowerCase(), pattern })),
      contextLimit: architecture.max_position_embeddings,
      vocabularySize: architecture.vocab_size,
    });

  return (
    <ChartFrame
      title="Decoding speed on this device"
      unit="tokens/s against context"
      description={
        <>
          {devices.length > 0 && <>Measured on {devices.join(" and ")}. </>}
          Loads each model after the other and times 16 tokens after {CONTEXTS.map(formatCount).join(", ")} tokens of context, as far as the model goes.
        </>
      }
      name={name}
      table={{
        columns: ["model", "pattern", "context, tokens", "tokens/s", "device"],
        rows: measured.flatMap((model) => model.points.map(({ context, tokensPerSecond, device }) => [model.label, model.pattern, context, tokensPerSecond, device])),
      }}
      legend={measured.map(({ label, colour, dash }) => ({ label, colour, mark: dash ? ("dash" as const) : ("line" as const) }))}
      controls={
        <div className="grid w-full gap-2">
          {running ? (
            <div className="flex items-center gap-3">
              <div className="grid min-w-0 flex-1 gap-1">
                <p role="status" className="truncate text-xs text-ink-2">
                  {running.message}
                </p>
                <ProgressBar label="Measuring decoding speed" done={running.done} total={running.total} />
              </div>
              <Button icon="stop" onClick={cancelMeasure}>
                Cancel
              </Button>
            </div>
          ) : (
            <div>
              <Button onClick={start}>{measured.length > 0 ? "Measure again" : "Measure on this device"}</Button>
            </div>
          )}
          {error && !running && <Notice tone="bad" message={error.message} action={error.action} />}
        </div>
      }
      empty={measured.length > 0 ? undefined : running ? "The first speeds will appear here." : "Not measured on this device yet."}
    >
      <ResponsiveContainer width="100%" height={220}>
        <LineChart data={data} margin={{ top: 8, right: 14, bottom: 14, left: 2 }} aria-label="Decoding speed on this device">
          <CartesianGrid {...grid} />
          <XAxis {...axis} dataKey="context" type="number" scale="log" domain={[contexts[0] ?? 1, Math.max(contexts.at(-1) ?? 2, (contexts[0] ?? 1) * 2)]} ticks={contexts} tickFormatter={shortCount} label={below("context, tokens")} />
          <YAxis {...axis} width={46} domain={[0, "auto"]} tickFormatter={axisNumber} />
          <Tooltip
            isAnimationActive={false}
            content={({ active, label }) =>
              active && typeof label === "number" ? (
                <ChartTooltip
                  title={`${formatCount(label)} tokens of context`}
                  rows={measured.map((model) => ({ label: model.label, value: `${formatNumber(speedOf(model, label) ?? Number.NaN)} tokens/s`, colour: model.colour }))}
                />
              ) : null
            }
          />
          {measured.map(({ key, label, colour, dash }) => (
            <Line key={key} dataKey={key} name={label} stroke={colour} strokeWidth={2} {...(dash ? { strokeDasharray: dash } : {})} dot={{ r: 3, fill: colour, strokeDasharray: "none" }} isAnimationActive={false} connectNulls />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </ChartFrame>
  );
}
