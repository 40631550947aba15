import { describe, expect, it } from "vitest";
import { REPORTED, REPORTED_METRICS, reportedBy, type ReportedMetric } from "./reported";

const metrics = Object.keys(REPORTED_METRICS) as ReportedMetric[];

describe("reported figures", () => {
  it("are cited and lie in their metric's range", () => {
    const most: Record<ReportedMetric, number> = { "mt-bench": 10, "alpaca-eval-lc": 100, mmlu: 100 };
    for (const { source, points } of REPORTED) {
      expect(source.url).toMatch(/^https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
      for (const { attention, scores } of points) {
        expect(attention).toBeGreaterThanOrEqual(0);
        expect(attention).toBeLessThanOrEqual(1);
        for (const metric of metrics) {
          if (scores[metric] === undefined) continue;
          expect(scores[metric]).toBeGreaterThan(0);
          expect(scores[metric]).toBeLessThan(most[metric]);
        }
      }
    }
  });

  it("come by metric, most attention first, without series that lack it", () => {
    for (const metric of metrics) {
      for (const { points } of reportedBy(metric)) {
        expect(points.map(({ attention }) => attention)).toEqual(points.map(({ attention }) => attention).sort((a, b) => b - a));
      }
    }
    expect(reportedBy("mt-bench").map(({ points }) => points.length)).toEqual([3, 4, 4]);
    // Of Zephyr only the teacher has an MMLU score.
    expect(reportedBy("mmlu").map(({ points }) => points.length)).toEqual([3, 4, 1]);
  });
});
