/** What the explorer computes: one probe worker, and the newest results on text and patterns. Lives as long as the tab, across pages. */
import { create } from "zustand";
import type { Comparison, LayerDistance, LayerSensitivity } from "@/lib/evaluation/types";
import type { LayerInside, ProbeInfo, ProbeProgress, ProbeText } from "@/lib/inference/probe/types";
import { errorData } from "@/components/chat/engine";
import { createProbeClient, type ProbeCall, type ProbeClient } from "@/workers/probe-client";
import type { ErrorData, ProviderChoice } from "@/workers/protocol";
import type { OwnPoint } from "./charts/props";
import { isObsolete, jobNames, nextJob, noKeys, type JobName, type Keys } from "./plan";

export type ProbeTarget = { family: string; provider: ProviderChoice };

export type Compared = { comparison: Comparison; /** First layer that was computed again. */ from: number; milliseconds: number; /** The text that was compared on. */ text: ProbeText };

export type Job = { running: boolean; progress: ProbeProgress | null; error: ErrorData | null; cancelled: boolean };

export type ProbeState = {
  status: "empty" | "loading" | "ready" | "failed";
  target: ProbeTarget | null;
  loading: ProbeProgress | null;
  info: ProbeInfo | null;
  error: ErrorData | null;
  wanted: Keys;
  done: Keys;
  jobs: Record<JobName, Job>;
  text: ProbeText | null;
  a: Compared | null;
  b: Compared | null;
  inside: LayerInside | null;
  distances: readonly LayerDistance[];
  sweep: readonly LayerSensitivity[];
  /** Key of the sweep that is shown, also of one that was stopped half way. */
  sweepKey: string | null;
  /** Texts of the tokens that comparisons name. */
  vocabulary: ReadonlyMap<number, string>;
  points: readonly OwnPoint[];
};

const idle: Job = { running: false, progress: null, error: null, cancelled: false };
const noJobs = Object.fromEntries(jobNames.map((job) => [job, idle])) as Record<JobName, Job>;
const noResults = { done: noKeys, jobs: noJobs, text: null, a: null, b: null, inside: null, distances: [], sweep: [], sweepKey: null, points: [] };
const empty = { status: "empty" as const, target: null, loading: null, info: null, error: null, ...noResults, vocabulary: new Map<number, string>() };

export const useProbe = create<ProbeState>(() => ({ ...empty, wanted: noKeys }));
const { getState: get, setState: set } = useProbe;

let client: ProbeClient | null = null;
function probe(): ProbeClient {
  if (client) return client;
  client = createProbeClient();
  client.onFault((error) => {
    if (get().status === "ready") loseModel(errorData(error));
  });
  return client;
}

/** Errors after which the worker holds no model any more. */
const lost: ReadonlySet<ErrorData["code"]> = new Set(["device_lost", "out_of_memory", "no_model"]);

function loseModel(error: ErrorData): void {
  endJobs();
  set({ status: "failed", info: null, error, ...noResults });
}

const sameTarget = (one: ProbeTarget | null, other: ProbeTarget): boolean => one?.family === other.family && one.provider === other.provider;

/** Loads a family unless it is loaded, or being loaded, already. */
export async function loadProbe(target: ProbeTarget): Promise<void> {
  const { status, target: held } = get();
  if (sameTarget(held, target) && (status === "ready" || status === "loading")) return;
  unloadProbe();
  set({ status: "loading", target });
  const current = () => get().status === "loading" && get().target === target;
  try {
    const info = await probe().load(target, { onProgress: (loading) => current() && set({ loading }) });
    if (!current()) return;
    set({ status: "ready", info, loading: null });
    advance();
  } catch (error) {
    if (current()) set({ ...empty, status: "failed", target, error: errorData(error) });
  }
}

/** Ends the worker; also the way to cancel a load. */
export function unloadProbe(): void {
  endJobs();
  if (get().status !== "empty") client?.unload();
  set(empty);
}

/** What the page needs now. Inputs of each job; null: the page does without. */
export type Wanted = {
  text: string | null;
  a: readonly string[] | null;
  b: readonly string[] | null;
  inside: { layer: number; set: string } | null;
  distances: string | null;
  sweep: string | null;
};

let inputs: Wanted = { text: null, a: null, b: null, inside: null, distances: null, sweep: null };
let refused: Keys = noKeys;
let timer: ReturnType<typeof setTimeout> | undefined;
const running = new Map<JobName, { key: string; controller: AbortController }>();

/** A key a job: equal keys have equal results. All but the text's own hold the text too. */
function keysOf({ text, a, b, inside, distances, sweep }: Wanted): Keys {
  const on = (part: string | null | undefined): string | null => (text === null || part === null || part === undefined ? null : `${part}\n${text}`);
  return { text, a: on(a?.join(" ")), b: on(b?.join(" ")), inside: on(inside && `${inside.layer} ${inside.set}`), distances: on(distances), sweep: on(sweep) };
}

/** Says what is needed. A short pause gathers quick changes; what runs for nothing is stopped at once. */
export function want(next: Wanted): void {
  inputs = next;
  const wanted = keysOf(next);
  set((state) => ({ wanted, ...outdated(state, wanted) }));
  stopObsolete();
  clearTimeout(timer);
  timer = setTimeout(advance, 60);
}

/** Bars and lists of another set or text would be taken for this one's: they go at once. Without a text, everything goes. */
function outdated({ done, sweepKey }: ProbeState, wanted: Keys): Partial<ProbeState> {
  if (wanted.text === null) return noResults;
  const swept = sweepKey !== null && sweepKey !== wanted.sweep;
  const measured = done.distances !== null && done.distances !== wanted.distances;
  return {
    ...(swept && { sweep: [], sweepKey: null }),
    ...(measured && { distances: [] }),
    ...((swept || measured) && { done: { ...done, ...(swept && { sweep: null }), ...(measured && { distances: null }) } }),
  };
}

/** Stops a job; it stays stopped until {@link retry} or another input. */
export function cancel(job: JobName): void {
  refused = { ...refused, [job]: get().wanted[job] };
  running.get(job)?.controller.abort();
  setJob(job, { cancelled: true });
}

export function retry(job: JobName): void {
  refused = { ...refused, [job]: null };
  setJob(job, { error: null, cancelled: false });
  advance();
}

function setJob(job: JobName, change: Partial<Job>): void {
  set(({ jobs }) => ({ jobs: { ...jobs, [job]: { ...jobs[job], ...change } } }));
}

function endJobs(): void {
  for (const { controller } of running.values()) controller.abort();
  running.clear();
  refused = noKeys;
}

function stopObsolete(): void {
  const { wanted, done } = get();
  for (const [job, { key, controller }] of running) if (isObsolete(job, key, wanted, done, refused)) controller.abort();
}

function advance(): void {
  const { status, wanted, done } = get();
  if (status !== "ready") return;
  // The sweep gives way inside the worker; everything else runs alone.
  if ([...running.keys()].some((job) => job !== "sweep")) return;
  const job = nextJob(wanted, done, refused);
  if (job && !running.has(job)) void start(job);
}

async function start(job: JobName): Promise<void> {
  const key = get().wanted[job];
  if (key === null) return;
  const controller = new AbortController();
  const entry = { key, controller };
  running.set(job, entry);
  refused = { ...refused, [job]: null };
  setJob(job, { ...idle, running: true });
  const current = () => running.get(job) === entry;
  const call: ProbeCall = { signal: controller.signal, onProgress: (progress) => current() && setJob(job, { progress }) };
  try {
    const result = await compute(job, inputs, call, () => current() && !controller.signal.aborted);
    if (current() && !controller.signal.aborted && result) set(({ done }) => ({ ...result, done: { ...done, ...result.done, [job]: key } }));
  } catch (error) {
    // A failure counts for the input that it was met with; a stopped job has none.
    if (current() && !controller.signal.aborted) {
      const data = errorData(error);
      if (lost.has(data.code)) return loseModel(data);
      refused = { ...refused, [job]: key };
      setJob(job, { error: data });
    }
  }
  if (!current()) return;
  running.delete(job);
  setJob(job, { running: false, progress: null });
  if (job === "a" || job === "b") void nameTokens();
  stopObsolete();
  advance();
}

/** Runs a job. Resolves to the state that its result makes; null if its input went away. */
async function compute(job: JobName, wanted: Wanted, call: ProbeCall, live: () => boolean): Promise<Partial<ProbeState> | null> {
  switch (job) {
    case "text": {
      if (wanted.text === null) return null;
      const text = await probe().text(wanted.text, call);
      // What was computed on the text before stays in sight, greyed, until it is replaced; what is a list of its layers does not.
      return { text, points: [], sweep: [], distances: [] };
    }
    case "a":
    case "b": {
      const layers = wanted[job];
      const { text } = get();
      if (!layers || !text) return null;
      const compared = await probe().compare([...layers], call);
      return { [job]: { ...compared, text }, points: withPoint(get().points, compared.comparison) };
    }
    case "inside":
      return wanted.inside && { inside: await probe().inside(wanted.inside.layer, wanted.inside.set, call) };
    case "distances":
      return wanted.distances === null ? null : { distances: (await probe().distances(wanted.distances, call)).distances };
    case "sweep": {
      const held = get().info?.sets.find(({ name }) => name === wanted.sweep)?.layers;
      if (wanted.sweep === null || !held) return null;
      // One that was stopped goes on where it was.
      if (get().sweepKey !== get().wanted.sweep) set({ sweep: [], sweepKey: get().wanted.sweep });
      const known = new Set(get().sweep.map(({ layer }) => layer));
      await probe().sensitivity(wanted.sweep, {
        ...call,
        layers: held.filter((layer) => !known.has(layer)),
        onLayer: (layer) => live() && set(({ sweep }) => ({ sweep: [...sweep, layer] })),
      });
      return {};
    }
  }
}

const POINTS = 60;

function withPoint(points: readonly OwnPoint[], { layers, totals }: Comparison): OwnPoint[] {
  const kept = layers.filter((layer) => !layer.startsWith("mamba")).length;
  const point = { label: `${kept} of ${layers.length} attention`, attention: kept / layers.length, kl: totals.kl, agreement: totals.agreement, ratio: totals.ratio };
  const others = points.filter((other) => other.attention !== point.attention || other.kl !== point.kl);
  return [...others, point].slice(-POINTS);
}

/** Learns the texts of the tokens that are shown as likeliest. */
async function nameTokens(): Promise<void> {
  const { a, b, vocabulary } = get();
  const ids = new Set<number>();
  for (const compared of [a, b]) {
    if (!compared) continue;
    for (const id of compared.comparison.top.ids) if (!vocabulary.has(id)) ids.add(id);
    for (const id of compared.comparison.teacherTop.ids) if (!vocabulary.has(id)) ids.add(id);
  }
  if (ids.size === 0) return;
  const tokens = [...ids];
  try {
    const pieces = await probe().decode(tokens);
    if (get().vocabulary !== vocabulary) return;
    set({ vocabulary: new Map([...vocabulary, ...tokens.map((id, index) => [id, pieces[index] ?? ""] as const)]) });
  } catch {
    // The ids are shown in place of the texts.
  }
}
