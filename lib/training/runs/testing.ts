/** Run directories for tests and benchmarks, with lines as the trainer writes them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";

/** Lines of one write. */
const PART = 4000;

/** A line of metrics.jsonl in the form of Python's json.dumps; null stands for NaN. */
export function pythonLine(record: Record<string, number | string | null>): string {
  const parts = Object.entries(record).map(([key, value]) => `${JSON.stringify(key)}: ${typeof value === "number" ? pythonNumber(value) : JSON.stringify(value)}`);
  return `{${parts.join(", ")}}\n`;
}

/** A number as Python prints it: exponents have two digits at least. */
function pythonNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) {
    const [mantissa = "", exponent = ""] = value.toExponential().split("e");
    return `${mantissa}e${exponent.startsWith("-") ? "-" : "+"}${exponent.slice(1).padStart(2, "0")}`;
  }
  return String(value);
}

/** A reproducible source of numbers in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Line i of a run that evaluates every 50th line; the loss of line `spike` is 1000. */
export function metricsLine(i: number, lines: number, random: () => number, spike = -1): string {
  const place = `"step": ${20 * i}, "tokens": ${20 * i * 32768}, "time": ${1795332043.25 + i * 0.0625}`;
  if (i % 50 === 49) return `{"kind": "eval", ${place}, ${measuresOf(random, ["loss", "kl", "ce", "agreement"])}}\n`;
  const loss = i === spike ? "1000" : digitsOf(random);
  const rates = `"learning_rate": ${pythonNumber(0.001 * (1 - i / lines))}, "memory_gib": 2.67, "gpu_utilisation": 98`;
  return `{"kind": "train", ${place}, ${rates}, "loss": ${loss}, ${measuresOf(random, ["kl", "ce", "teacher_ce", "agreement", "grad_norm"])}, "tokens_per_second": 654321}\n`;
}

const digitsOf = (random: () => number) => `0.${String(1_000_000 + Math.floor(random() * 1_000_000)).slice(1)}`;

function measuresOf(random: () => number, names: readonly string[]): string {
  return names.map((name) => `"${name}": ${digitsOf(random)}`).join(", ");
}

/** Writes a run directory of so many lines of metrics. Returns the bytes of metrics.jsonl. */
export function writeRun(folder: string, lines: number, { spike = -1, state = "finished", seed = 1 } = {}): number {
  mkdirSync(folder, { recursive: true });
  const last = 20 * Math.max(0, lines - 1);
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ name: path.basename(folder), family: "stories", method: "distill", pattern: "fixed", layers: [1, 3], optimiser: { steps: last } }));
  writeFileSync(path.join(folder, "status.json"), JSON.stringify({ state, updated: 1795332043.25 + lines * 0.0625, step: last, steps: last, tokens: last * 32768 }));
  const random = randomNumbers(seed);
  const text = Array.from({ length: lines }, (_, i) => metricsLine(i, lines, random, spike)).join("");
  writeFileSync(path.join(folder, "metrics.jsonl"), text);
  return text.length;
}

/** As writeRun for very many lines, in parts between which other work goes on. The measures of lines recur. */
export async function writeLongRun(folder: string, lines: number, { spike = -1 } = {}): Promise<number> {
  writeRun(folder, 0);
  const random = randomNumbers(1);
  const bodies = Array.from({ length: 5000 }, (_, i) => metricsLine(i, 5000, random).replace(/^.*?"time": [^,]*/, ""));
  const file = await open(path.join(folder, "metrics.jsonl"), "w");
  let bytes = 0;
  for (let from = 0; from < lines; from += PART) {
    let part = "";
    for (let i = from; i < Math.min(lines, from + PART); i++) {
      const body = bodies[i % bodies.length] ?? "";
      const kind = i % 50 === 49 ? "eval" : "train";
      const line = `{"kind": "${kind}", "step": ${20 * i}, "tokens": ${20 * i * 32768}, "time": ${1795332043.25 + i * 0.0625}${body}`;
      part += i === spike ? line.replace(/"loss": [^,]*/, '"loss": 1000') : line;
    }
    bytes += (await file.write(part)).bytesWritten;
  }
  await file.close();
  return bytes;
}
