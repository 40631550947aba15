"use client";

import { useState } from "react";
import { ChartFrame } from "@/components/ui/ChartFrame";
import { Segmented, SelectField } from "@/components/ui/Field";
import { ownPointsOf, QUALITY, type QualityMetric, recordedPoints, recordedTexts } from "./quality-data";
import type { BenefitPanelProps } from "./props";
import { ShareScatter } from "./ShareScatter";

type QualityChartProps = Pick<BenefitPanelProps, "family" | "results" | "variants" | "ownPoints"> & { name: readonly string[] };

/** Quality against the share of attention: this project's recorded variants and the user's own points. */
export function QualityChart({ family, results, variants, ownPoints, name }: QualityChartProps) {
  const [metric, setMetric] = useState<QualityMetric>("kl");
  const texts = recordedTexts(results, family);
  const [chosen, setText] = useState("");
  const text = texts.includes(chosen) ? chosen : (texts[0] ?? "");
  const recorded = recordedPoints({ results, family, variants }, metric, text);
  const own = ownPointsOf(ownPoints, metric);
  const { label, unit, teacher, better } = QUALITY[metric];
  const series = [
    { name: `Recorded variants on ${text}`, colour: "var(--mamba)", shape: "circle" as const, joined: false, names: "top" as const, points: recorded },
    { name: "Your patterns on your text", colour: "var(--accent)", shape: "diamond" as const, joined: false, names: "right" as const, points: own },
  ].filter(({ points }) => points.length > 0);
  return (
    <ChartFrame
      title="Quality against attention kept"
      unit={`${label}, ${unit}`}
      description={`Recorded variants were measured by this project's trainer on ${text === "" ? "a text of its own" : text}; your points are of your own text, so compare shapes rather than heights. ${better[0]?.toUpperCase()}${better.slice(1)}.`}
      name={[...name, metric]}
      table={{ columns: ["series", "name", "attention kept", `${label}, ${unit}`], rows: series.flatMap((each) => each.points.map((point) => [each.name, point.label, point.attention, point.value])) }}
      legend={series.map((each) => ({ label: each.name, colour: each.colour, mark: "dot" as const }))}
      controls={
        <>
          <Segmented
            label="Measure"
            value={metric}
            onChange={setMetric}
            options={[
              { value: "kl", label: "KL" },
              { value: "agreement", label: "Top-1" },
              { value: "ratio", label: "Perplexity" },
            ]}
          />
          {texts.length > 1 && <SelectField label="Recorded on" value={text} onChange={setText} options={texts.map((value) => ({ value, label: value }))} />}
        </>
      }
      empty={series.length > 0 ? undefined : "No variant of this family has been recorded, and you have no points of your own yet."}
    >
      <ShareScatter label="Quality against attention kept" series={series} unit={unit} fromZero={metric === "kl"} reference={{ value: teacher, label: "teacher", side: metric === "agreement" ? "below" : "above" }} />
    </ChartFrame>
  );
}
