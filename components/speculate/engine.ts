/** The speculative worker and what runs in it. Lives as long as the tab, across pages. */
import { create } from "zustand";
import { errorData } from "@/components/chat/engine";
import { batch } from "@/components/ui/batch";
import type { ErrorData, GenerateInput, Progress, ProviderChoice, SamplingInput } from "@/workers/protocol";
import { createSpeculativeClient, type RunControls, type SpeculativeClient } from "@/workers/speculative-client";
import type { Cycle, DraftChoice, Drafted, Pace, PlainResult, PlainToken, SpeculativeInfo, SpeculativeResult, SweepPoint } from "@/workers/speculative-protocol";

export type Target = {
  readonly family: string;
  readonly variant?: string | undefined;
  readonly pattern?: string | undefined;
  readonly provider: ProviderChoice;
};

export type Run = {
  readonly id: number;
  readonly K: Drafted;
  readonly phase: "plain" | "speculative" | "done";
  /** Tokens that plain decoding has written so far; null without a baseline. */
  readonly plainTokens: number | null;
  readonly plain: PlainResult | null;
  readonly first: PlainToken | null;
  readonly cycles: readonly Cycle[];
  readonly result: SpeculativeResult | null;
};

export type SweepState = { readonly done: number; readonly total: number; readonly points: readonly SweepPoint[]; readonly message: string };

export type EngineState = {
  status: "empty" | "loading" | "ready" | "failed";
  target: Target | null;
  draft: DraftChoice | null;
  loading: Progress | null;
  info: SpeculativeInfo | null;
  error: ErrorData | null;
  run: Run | null;
  sweep: SweepState | null;
  busy: "run" | "sweep" | null;
  /** In step mode: whether a cycle waits for the visitor. */
  paused: boolean;
  /** What went wrong with a run or a sweep; the model stays. */
  failure: ErrorData | null;
};

const empty = { status: "empty" as const, target: null, draft: null, loading: null, info: null, error: null, run: null, sweep: null, busy: null, paused: false, failure: null };
export const useEngine = create<EngineState>(() => empty);
const { getState: get, setState: set } = useEngine;

let client: SpeculativeClient | null = null;
function worker(): SpeculativeClient {
  if (client) return client;
  client = createSpeculativeClient();
  client.onFault((error) => {
    if (get().status === "ready") set({ ...empty, status: "failed", target: get().target, error: errorData(error) });
  });
  return client;
}

/** Errors after which the worker holds no model any more. */
const lost: ReadonlySet<ErrorData["code"]> = new Set(["device_lost", "out_of_memory", "no_model"]);

export const sameTarget = (one: Target | null, other: Target): boolean =>
  one?.family === other.family && one.variant === other.variant && one.pattern === other.pattern && one.provider === other.provider;
export const sameDraft = (one: DraftChoice | null, other: DraftChoice): boolean => JSON.stringify(one) === JSON.stringify(other);

/** Loads target and draft; only the draft where the target is held already. */
export async function load(target: Target, draft: DraftChoice): Promise<boolean> {
  const held = get();
  if (held.status === "ready" && sameTarget(held.target, target)) {
    if (sameDraft(held.draft, draft)) return true;
    return attempt(target, draft, (call) => worker().draft(draft, call));
  }
  return attempt(target, draft, (call) => worker().load({ ...target, draft }, call));
}

async function attempt(target: Target, draft: DraftChoice, start: (call: { onProgress: (progress: Progress) => void }) => Promise<SpeculativeInfo>): Promise<boolean> {
  stop();
  const marker = { ...target };
  set({ ...empty, status: "loading", target: marker, draft });
  const current = () => get().target === marker;
  try {
    const info = await start({ onProgress: (loading) => current() && set({ loading }) });
    if (!current()) return false;
    set({ status: "ready", info, loading: null });
    return true;
  } catch (error) {
    if (current()) set({ ...empty, status: "failed", target: marker, draft, error: errorData(error) });
    return false;
  }
}

/** Ends the worker; also the way to cancel a load. */
export function unload(): void {
  stop();
  if (get().status !== "empty") client?.unload();
  set(empty);
}

let running: AbortController | null = null;
let controls: RunControls | null = null;
let runs = 0;
let hurried = true;
/** Milliseconds until the page is drawn again. At full speed seldom: what draws, and the models' threads, share the processor that is timed. */
const drawnEvery = (): number => (hurried ? 200 : 16);

/** Ends the run or the sweep; what there is of it stays. */
export function stop(): void {
  running?.abort();
}

export type RunRequest = {
  readonly input: GenerateInput;
  readonly sampling: SamplingInput;
  readonly K: Drafted;
  readonly maxTokens: number;
  readonly pace: Pace;
  readonly baseline: boolean;
};

/** Decodes a prompt: plainly first if asked, then speculatively, cycle by cycle. */
export async function start({ input, sampling, K, maxTokens, pace, baseline }: RunRequest): Promise<void> {
  if (get().status !== "ready") return;
  stop();
  const controller = new AbortController();
  const { signal } = controller;
  running = controller;
  const id = ++runs;
  hurried = pace.mode === "run";
  const live = () => running === controller;
  const update = (change: Partial<Run>) => live() && set(({ run }) => (run?.id === id ? { run: { ...run, ...change } } : {}));
  set({
    busy: "run",
    failure: null,
    paused: false,
    run: { id, K, phase: baseline ? "plain" : "speculative", plainTokens: baseline ? 0 : null, plain: null, first: null, cycles: [], result: null },
  });
  try {
    if (baseline) {
      const counted = batch<number>((tokens) => update({ plainTokens: tokens.at(-1) ?? 0 }), drawnEvery);
      const plain = await worker().plain(input, { sampling, maxTokens, signal, onToken: ({ index }) => counted.add(index) }).finally(counted.flush);
      update({ plain, phase: "speculative" });
    }
    if (!signal.aborted) {
      let cycles: readonly Cycle[] = [];
      const collected = batch<Cycle>((fresh) => update({ cycles: (cycles = [...cycles, ...fresh]) }), drawnEvery);
      const pending = worker().run(input, {
        sampling,
        K,
        maxTokens,
        pace,
        signal,
        onFirst: (first) => {
          update({ first });
          if (pace.mode === "step" && live()) set({ paused: true });
        },
        onCycle: (cycle) => {
          collected.add(cycle);
          if (pace.mode === "step" && live()) set({ paused: true });
        },
      });
      controls = pending.controls;
      const result = await pending.finally(collected.flush);
      update({ result });
    }
  } catch (error) {
    if (live()) fail(error, signal);
  }
  update({ phase: "done" });
  if (live()) {
    running = controls = null;
    set({ busy: null, paused: false });
  }
}

/** The next cycle, in step mode. */
export function nextCycle(): void {
  if (!get().paused) return;
  set({ paused: false });
  controls?.next();
}

/** Changes the pace of the run that goes on. */
export function setPace(pace: Pace): void {
  if (get().busy !== "run") return;
  hurried = pace.mode === "run";
  controls?.pace(pace);
  if (pace.mode !== "step") set({ paused: false });
}

function fail(error: unknown, signal: AbortSignal): void {
  const data = errorData(error);
  if (lost.has(data.code)) set({ ...empty, status: "failed", target: get().target, error: data });
  else if (!signal.aborted) set({ failure: data });
}

/** Each prompt at each K, plain decoding in between. Resolves to the points and whether it came to its end. */
export async function sweep(
  prompts: { input: GenerateInput; kind: string }[],
  K: Drafted[],
  options: { sampling: SamplingInput; maxTokens: number },
): Promise<{ points: readonly SweepPoint[]; complete: boolean }> {
  if (get().status !== "ready") return { points: [], complete: false };
  stop();
  const controller = new AbortController();
  running = controller;
  const live = () => running === controller;
  const total = prompts.length * K.length;
  let points: readonly SweepPoint[] = [];
  let complete = false;
  set({ busy: "sweep", failure: null, sweep: { done: 0, total, points, message: "Starting" } });
  try {
    await worker().sweep(prompts, K, {
      ...options,
      signal: controller.signal,
      onProgress: ({ message }) => live() && set(({ sweep: state }) => (state ? { sweep: { ...state, message } } : {})),
      onPoint: (point) => {
        points = [...points, point];
        if (live()) set(({ sweep: state }) => (state ? { sweep: { ...state, points, done: points.length } } : {}));
      },
    });
    complete = true;
  } catch (error) {
    if (live()) fail(error, controller.signal);
  }
  if (live()) {
    running = null;
    set({ busy: null, sweep: null });
  }
  return { points, complete };
}
