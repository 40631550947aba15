import { describe, expect, it } from "vitest";
import type { SeriesKey } from "../metrics";
import { planCharts } from "./chart-plan";

const never = () => false;

describe("the charts of a run", () => {
  const keys: SeriesKey[] = ["train:loss", "eval:loss", "train:kl", "eval:kl", "eval:kl.attn0", "train:ce", "eval:ce", "train:teacher_ce", "train:learning_rate", "train:margin"];

  it("show every measure once, together with what it is to be compared with", () => {
    const charts = planCharts(keys, never);
    expect(charts.flatMap(({ lines }) => lines.map(({ key }) => key)).sort()).toEqual([...keys].sort());
    expect(charts.map(({ id }) => id)).toEqual(["loss", "kl", "ce", "learning_rate", "margin"]);
    expect(charts[1]?.lines.map(({ label }) => label)).toEqual(["training", "evaluation", "attn0, evaluation"]);
    expect(charts[2]?.lines.map(({ label }) => label)).toEqual(["Cross-entropy, training", "Cross-entropy, evaluation", "Teacher's cross-entropy, training"]);
  });

  it("leave out a total loss that is the KL alone", () => {
    expect(planCharts(keys, () => true).map(({ id }) => id)).not.toContain("loss");
    expect(planCharts(["train:loss"], () => true).map(({ id }) => id)).toEqual(["loss"]);
  });
});
