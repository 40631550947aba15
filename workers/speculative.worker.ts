/** The speculative worker: validates requests, runs them one after the other over lib/inference/speculative, and answers with data. */
import { NoModelError } from "@/lib/inference/errors";
import { failureData } from "@/lib/inference/failure-data";
import { detectProviders } from "@/lib/inference/providers";
import { browserRuntimes } from "@/lib/inference/runtime";
import { loadSpeculative, type SpeculativeModel } from "@/lib/inference/speculative/load";
import { Pacer } from "@/lib/inference/speculative/pacer";
import type { AnswerOptions } from "@/lib/inference/speculative/session";
import { sweep } from "@/lib/inference/speculative/sweep";
import type { Sampling } from "./protocol";
import { type SpeculativeAnswer, type SpeculativeRequest, speculativeRequestSchema, type SpeculativeResults } from "./speculative-protocol";

type Steering = "cancel" | "pace" | "next";
type Work = Exclude<SpeculativeRequest, { type: Steering }>;
type Job<K extends Work["type"]> = { readonly request: Work & { type: K }; readonly signal: AbortSignal; readonly pacer: Pacer };

const send = (answer: SpeculativeAnswer): void => self.postMessage(answer);
const running = new Map<number, { readonly canceller: AbortController; readonly pacer: Pacer }>();
let queue: Promise<void> = Promise.resolve();
let model: SpeculativeModel | null = null;

self.onmessage = (event: MessageEvent<unknown>) => {
  const parsed = speculativeRequestSchema.safeParse(event.data);
  if (!parsed.success) {
    const id = (event.data as { id?: unknown } | null)?.id;
    const message = `The worker was sent a bad request: ${parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}.`;
    if (typeof id === "number") send({ id, type: "error", error: { code: "bad_request", message, action: "Correct the request." } });
    return;
  }
  const request = parsed.data;
  if (request.type === "cancel" || request.type === "pace" || request.type === "next") return steer(request);
  const canceller = new AbortController();
  const pacer = new Pacer(request.type === "run" ? request.pace : { mode: "run" }, canceller.signal);
  running.set(request.id, { canceller, pacer });
  queue = queue.then(() => answer(request, canceller.signal, pacer)).finally(() => running.delete(request.id));
};

function steer(request: SpeculativeRequest & { type: Steering }): void {
  const target = running.get(request.target);
  if (request.type === "cancel") target?.canceller.abort(new DOMException("Cancelled", "AbortError"));
  if (request.type === "pace") target?.pacer.change(request.pace);
  if (request.type === "next") target?.pacer.next();
  send({ id: request.id, type: "result", result: { found: target !== undefined } });
}

async function answer(request: Work, signal: AbortSignal, pacer: Pacer): Promise<void> {
  try {
    signal.throwIfAborted();
    send({ id: request.id, type: "result", result: await perform(request, signal, pacer) });
  } catch (error) {
    const data = failureData(error, signal);
    if (data.code === "device_lost" || data.code === "out_of_memory") await free();
    send({ id: request.id, type: "error", error: data });
  }
}

function perform(request: Work, signal: AbortSignal, pacer: Pacer): Promise<SpeculativeResults[keyof SpeculativeResults]> {
  switch (request.type) {
    case "load":
      return load({ request, signal, pacer });
    case "draft":
      return draft({ request, signal, pacer });
    case "run":
      return run({ request, signal, pacer });
    case "plain":
      return plain({ request, signal, pacer });
    case "sweep":
      return sweeping({ request, signal, pacer });
    case "tokenise":
      return Promise.resolve({ tokens: held().tokenise(request.text) });
  }
}

async function load({ request: { id, options }, signal }: Job<"load">): Promise<SpeculativeResults["load"]> {
  await free();
  model = await loadSpeculative(options, {
    manifestUrl: (family) => `/bundles/${encodeURIComponent(family)}/manifest.json`,
    runtimes: browserRuntimes(),
    providers: await detectProviders(),
    signal,
    onProgress: (progress) => send({ id, type: "progress", progress }),
    onLost: (error) => {
      model = null;
      send({ id: null, type: "fault", error: failureData(error) });
    },
  });
  return model.info();
}

async function draft({ request, signal }: Job<"draft">): Promise<SpeculativeResults["draft"]> {
  const current = held();
  await current.changeDraft(request.draft, { signal, onProgress: (progress) => send({ id: request.id, type: "progress", progress }) });
  return current.info();
}

async function run({ request, signal, pacer }: Job<"run">): Promise<SpeculativeResults["run"]> {
  const current = held();
  const { id, input, K, probabilities } = request;
  const stream = current.session.run(current.promptTokens(input), { ...answerOptions(request, current, signal), K, probabilities, gate: () => pacer.gate() });
  for (;;) {
    const step = await stream.next();
    if (step.done) return { ...step.value, memory: current.memory() };
    if ("first" in step.value) send({ id, type: "first", token: step.value.first });
    else send({ id, type: "cycle", cycle: step.value.cycle });
  }
}

async function plain({ request, signal }: Job<"plain">): Promise<SpeculativeResults["plain"]> {
  const current = held();
  const stream = current.session.plain(current.promptTokens(request.input), answerOptions(request, current, signal));
  for (;;) {
    const step = await stream.next();
    if (step.done) {
      const { tokenIds, decodeMs } = step.value;
      return { ...step.value, tokensPerSecond: tokenIds.length > 1 && decodeMs > 0 ? ((tokenIds.length - 1) * 1000) / decodeMs : 0 };
    }
    send({ id: request.id, type: "token", token: step.value });
  }
}

async function sweeping({ request, signal }: Job<"sweep">): Promise<SpeculativeResults["sweep"]> {
  const current = held();
  const { id, K, prompts, baseline } = request;
  const total = prompts.length * K.length;
  let done = 0;
  const progress = (): void => send({ id, type: "progress", progress: { phase: "prefill", done, total, unit: "steps", message: "Measuring" } });
  progress();
  return sweep(
    current.session,
    prompts.map(({ input, kind }) => ({ tokens: current.promptTokens(input), kind })),
    {
      ...answerOptions(request, current, signal),
      K,
      baseline,
      onPoint: (point) => {
        send({ id, type: "point", point });
        done++;
        progress();
      },
    },
  );
}

function answerOptions(
  { id, sampling, maxTokens, stopAtEos }: { id: number; sampling: Sampling; maxTokens: number; stopAtEos: boolean },
  current: SpeculativeModel,
  signal: AbortSignal,
): AnswerOptions {
  return {
    sampling,
    seed: sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    maxTokens,
    stopTokens: new Set(stopAtEos ? current.stopTokens : []),
    decode: (tokens) => current.decode(tokens),
    signal,
    onPrefill: (done, total) => send({ id, type: "progress", progress: { phase: "prefill", done, total, unit: "tokens", message: "Reading the prompt" } }),
  };
}

function held(): SpeculativeModel {
  if (!model) throw new NoModelError();
  return model;
}

async function free(): Promise<void> {
  const last = model;
  model = null;
  await last?.dispose().catch(() => undefined); // a lost device cannot be released in order
}
