/** A run directory whose lines a test writes itself, where the trainer would only take time. */
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { tinyConfig } from "../testing/service";

/** A line of metrics as the trainer writes it. */
function metricsLine(step: number): string {
  const loss = 4 + Math.sin(step / 50) / (1 + step / 1000);
  return `${JSON.stringify({ kind: "train", step, time: 1_795_000_000 + step / 10, tokens: step * 64, loss, kl: loss / 2, ce: loss / 3, grad_norm: 1 + (step % 7) / 10, learning_rate: 0.001, tokens_per_second: 640.5 })}\n`;
}

/** Makes the directory. `pid`: a process that stands for the trainer; without one the run is finished. */
export async function writeRun(root: string, id: string, pid?: number): Promise<string> {
  const folder = path.join(root, "runs", id);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "config.json"), JSON.stringify(tinyConfig({ steps: 1000 })));
  await writeFile(path.join(folder, "status.json"), JSON.stringify({ state: pid === undefined ? "finished" : "running", updated: Date.now() / 1000, step: 0, steps: 1000, tokens: 0, ...(pid === undefined ? {} : { pid }) }));
  return folder;
}

/** Appends the lines of steps `from` to `to`. */
export const appendSteps = (folder: string, from: number, to: number): Promise<void> =>
  appendFile(path.join(folder, "metrics.jsonl"), Array.from({ length: to - from + 1 }, (_, k) => metricsLine(from + k)).join(""));
