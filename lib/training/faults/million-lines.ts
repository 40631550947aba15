/** A run with so many lines of metrics that reading them all takes longer than a visitor waits. */
import { startService } from "../testing/service";
import { secondsSince, until, type Finding } from "./lab";
import { writeLines, writeRun } from "./written-run";

const question = { points: 1000 };

export async function manyLines(home: string, lines: number): Promise<Finding[]> {
  const id = "long-run";
  const bytes = await writeLines(await writeRun(home, id), lines);
  const { service, close } = startService(home);
  try {
    const start = performance.now();
    const first = await service.runs.metrics("local", id, question);
    const opened = secondsSince(start);
    const points = first.series.find(({ measure }) => measure === "loss")?.step.length ?? 0;
    const whole = await until("all lines", async () => {
      const answer = await service.runs.metrics("local", id, question);
      return !answer.loading && answer;
    });
    const read = secondsSince(start);
    if (whole.rows !== lines || whole.last?.step !== lines) throw new Error(`${whole.rows} of ${lines} lines were read.`);
    const next = performance.now();
    await service.runs.metrics("local", id, { ...question, from: lines / 4, to: lines / 2 });
    return [{ fault: "million_lines", value: opened, unit: "s", of: { what: "until the first curves", lines, bytes, first_points: points, all_read_s: read, zoom_s: secondsSince(next) } }];
  } finally {
    await close();
  }
}
