"use client";

import { useState } from "react";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { Segmented } from "@/components/ui/Field";
import { REPORTED, REPORTED_METRICS, reportedBy, type ReportedMetric } from "@/lib/evaluation/reported";
import { ShareScatter } from "./ShareScatter";

const looks = [
  { colour: "var(--ink-2)", shape: "circle" },
  { colour: "var(--mamba)", shape: "square" },
  { colour: "var(--attention)", shape: "triangle" },
] as const;

/** What others reported of larger hybrids; other models and other measures than this project's, so a chart of its own. */
export function ReportedChart({ name }: { name: readonly string[] }) {
  const [metric, setMetric] = useState<ReportedMetric>("mt-bench");
  const { label, unit } = REPORTED_METRICS[metric];
  const series = reportedBy(metric).map(({ series: each, points }) => ({
    name: each.name,
    ...(looks[REPORTED.indexOf(each) % looks.length] ?? looks[0]),
    joined: true,
    points: points.map((point) => ({ label: point.attention === 1 ? `${each.teacher} (teacher)` : each.name, ...point })),
  }));
  const sources = [...new Map(REPORTED.map(({ source }) => [source.url, source])).values()];
  return (
    <ChartFrame
      title="Reported by others, of 7–8B models"
      unit={`${label}, ${unit}`}
      description={
        <>
          Figures from the literature, not measured here, and of other models: read them for the shape of the trade only.{" "}
          {sources.map(({ title, reference, url }) => (
            <span key={url}>
              Source:{" "}
              <a href={url} className="underline decoration-line-strong underline-offset-2 hover:text-ink" rel="noreferrer" target="_blank">
                {title}
              </a>{" "}
              ({reference}).
            </span>
          ))}
        </>
      }
      name={[...name, metric]}
      table={{
        columns: ["series", "attention kept", `${label}, ${unit}`, "source"],
        rows: reportedBy(metric).flatMap(({ series: each, points }) => points.map((point) => [each.name, point.attention, point.value, each.source.reference])),
      }}
      legend={series.map((each) => ({ label: each.name, colour: each.colour, mark: "dot" as const }))}
      controls={
        <Segmented
          label="Benchmark"
          value={metric}
          onChange={setMetric}
          options={[
            { value: "mt-bench", label: "MT-Bench" },
            { value: "mmlu", label: "MMLU" },
            { value: "alpaca-eval-lc", label: "AlpacaEval 2" },
          ]}
        />
      }
    >
      <ShareScatter label="Figures reported by others" series={series} unit={label} fromZero={false} />
    </ChartFrame>
  );
}
