/** Numbers, times and states of training as the pages say them. */
import { formatNumber } from "@/components/ui/format";
import type { IconName } from "@/components/ui/Icon";
import type { RunState } from "@/lib/training/types";

/** Seconds as `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatSpan(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 === 0 || whole >= 600 ? `${Math.round(whole / 60)} min` : `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** A large number with its unit letter: `1.25M`, `820k`, `32.8B`. */
export function formatLarge(value: number): string {
  if (!Number.isFinite(value)) return "–";
  for (const [size, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= 0.9995 * size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return formatNumber(value);
}

/** A loss or rate with the digits that matter: `0.0842`, `3.21`, `4.0e-5`. */
export function formatMeasure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.001) return value.toExponential(1).replace(/^-/, "−");
  if (size >= 1000) return formatLarge(value);
  return String(Number(value.toPrecision(size < 0.1 ? 3 : 4))).replace("-", "−");
}

/** How long ago a time (seconds since 1970) was: `just now`, `5 min ago`, or its date. */
export function formatAgo(time: number, now: number): string {
  const seconds = now - time;
  if (seconds < 45) return "just now";
  if (seconds < 86_400) return `${formatSpan(seconds < 3600 ? 60 * Math.round(seconds / 60) : 3600 * Math.round(seconds / 3600)).replace(" 00 min", "")} ago`;
  return formatDate(time);
}

/** `2026-11-22 13:05`, in the reader's time zone. */
export function formatDate(time: number): string {
  const date = new Date(1000 * time);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

type Look = { readonly word: string; readonly icon: IconName; readonly tone: string };

/** Each state has its own word and icon: colour alone tells nothing. */
export const stateLooks: Readonly<Record<RunState, Look>> = {
  queued: { word: "Queued", icon: "clock", tone: "text-ink-2" },
  running: { word: "Running", icon: "play", tone: "text-accent" },
  stopped: { word: "Stopped", icon: "stop", tone: "text-ink-2" },
  finished: { word: "Finished", icon: "check", tone: "text-good" },
  failed: { word: "Failed", icon: "alert", tone: "text-bad" },
  interrupted: { word: "Interrupted", icon: "bolt", tone: "text-warn" },
};

export const isActive = (state: RunState): boolean => state === "running" || state === "queued";

const methods: Readonly<Record<string, string>> = {
  distill: "Distill",
  align: "Align",
  orient: "Orient",
  dpo: "DPO",
  draft: "Draft",
  pretrain: "Pretrain",
};

/** A method's name, of a pipeline those of its stages. */
export function describeMethod(method: string | null): string {
  return method === null ? "–" : (methods[method] ?? method);
}

type MeasureText = { readonly label: string; readonly unit: string };

const measures: Readonly<Record<string, MeasureText>> = {
  loss: { label: "Total loss", unit: "nat/token" },
  kl: { label: "KL to the teacher", unit: "nat/token" },
  ce: { label: "Cross-entropy", unit: "nat/token" },
  teacher_ce: { label: "Teacher's cross-entropy", unit: "nat/token" },
  agreement: { label: "Top-1 agreement", unit: "share of tokens" },
  acceptance: { label: "Acceptance", unit: "share of guessed tokens" },
  accuracy: { label: "Pairs told apart", unit: "share of pairs" },
  margin: { label: "Margin of the rewards", unit: "nat" },
  chosen_reward: { label: "Reward of the chosen answer", unit: "nat" },
  rejected_reward: { label: "Reward of the rejected answer", unit: "nat" },
  learning_rate: { label: "Learning rate", unit: "" },
  grad_norm: { label: "Gradient norm", unit: "before clipping" },
  tokens_per_second: { label: "Throughput", unit: "tokens/s" },
  memory_gib: { label: "GPU memory, peak", unit: "GiB" },
  gpu_utilisation: { label: "GPU utilisation", unit: "%" },
};

/** A measure's name and unit; one that is not known keeps its own. */
export function describeMeasure(name: string): MeasureText {
  const known = measures[name];
  if (known) return known;
  const layer = /^align\.(\d+)$/.exec(name)?.[1];
  if (layer) return { label: `Alignment of layer ${layer}`, unit: "relative error" };
  const [base = "", variant] = name.split(".");
  const of = measures[base];
  return of && variant ? { label: `${of.label}, ${variant}`, unit: of.unit } : { label: name.replaceAll("_", " "), unit: "" };
}
