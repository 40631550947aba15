/** Run directories for tests and benchmarks, with lines as the trainer writes them. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";

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
  // Written out, because a million of them are made: pythonLine takes several times as long.
  const digits = () => `0.${String(1_000_000 + Math.floor(random() * 1_000_000)).slice(1)}`;
  const place = `"step": ${20 * i}, "tokens": ${20 * i * 32768}, "time": ${1795332043.25 + i * 0.0625}`;
  if (i % 50 === 49) return `{"kind": "eval", ${place}, "loss": ${digits()}, "kl": ${digits()}, "ce": ${digits()}, "teacher_ce": 1.194, "agreement": ${digits()}}\n`;
  return (
    `{"kind": "train", ${place}, "learning_rate": ${pythonNumber(0.001 * (1 - i / lines))}, "memory_gib": 2.67, "gpu_utilisation": ${Math.floor(random() * 101)}, ` +
    `"loss": ${i === spike ? "1000" : digits()}, "kl": ${digits()}, "ce": ${digits()}, "teacher_ce": ${digits()}, "agreement": ${digits()}, ` +
    `"grad_norm": ${digits()}, "tokens_per_second": ${600000 + Math.floor(random() * 100000)}}\n`
  );
}

/** Writes a run directory of so many lines of metrics. Returns the bytes of metrics.jsonl. */
export function writeRun(folder: string, lines: number, { spike = -1, state = "finished", seed = 1 } = {}): number {
  mkdirSync(folder, { recursive: true });
  const last = 20 * Math.max(0, lines - 1);
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ name: path.basename(folder), family: "stories", method: "distill", pattern: "fixed", layers: [1, 3], optimiser: { steps: last } }));
  writeFileSync(path.join(folder, "status.json"), JSON.stringify({ state, updated: 1795332043.25 + lines * 0.0625, step: last, steps: last, tokens: last * 32768 }));
  const file = openSync(path.join(folder, "metrics.jsonl"), "w");
  const random = randomNumbers(seed);
  let bytes = 0;
  let part = "";
  for (let i = 0; i < lines; i++) {
    part += metricsLine(i, lines, random, spike);
    if (part.length > 1 << 20 || i === lines - 1) {
      bytes += writeSync(file, part);
      part = "";
    }
  }
  closeSync(file);
  return bytes;
}
