/** The inference worker: validates requests, runs them one after the other over lib/inference, and answers with data. */
import { NoModelError } from "@/lib/inference/errors";
import { failureData } from "@/lib/inference/failure-data";
import { loadModel, type Model } from "@/lib/inference/model";
import { detectProviders } from "@/lib/inference/providers";
import { browserRuntimes } from "@/lib/inference/runtime";
import { type Answer, type ModelInfo, type Request, requestSchema, type Results } from "./protocol";
import { readRequest } from "./read-request";

type Job<K extends Request["type"]> = { request: Request & { type: K }; signal: AbortSignal };

const send = (answer: Answer, transfer: Transferable[] = []): void => self.postMessage(answer, { transfer });
const cancellers = new Map<number, AbortController>();
let queue: Promise<void> = Promise.resolve();
let model: Model | null = null;

self.onmessage = (event: MessageEvent<unknown>) => {
  const request = readRequest(requestSchema, event.data, send);
  if (!request) return;
  if (request.type === "cancel") {
    const canceller = cancellers.get(request.target);
    canceller?.abort(new DOMException("Cancelled", "AbortError"));
    return send({ id: request.id, type: "result", result: { found: canceller !== undefined } });
  }
  const canceller = new AbortController();
  cancellers.set(request.id, canceller);
  queue = queue.then(() => answer(request, canceller.signal)).finally(() => cancellers.delete(request.id));
};

async function answer(request: Request, signal: AbortSignal): Promise<void> {
  try {
    signal.throwIfAborted();
    const result = await perform(request, signal);
    const transfer = "logits" in result ? [result.logits.buffer as ArrayBuffer] : [];
    send({ id: request.id, type: "result", result }, transfer);
  } catch (error) {
    const data = failureData(error, signal);
    if (data.code === "device_lost" || data.code === "out_of_memory") await free();
    send({ id: request.id, type: "error", error: data });
  }
}

function perform(request: Request, signal: AbortSignal): Promise<Results[keyof Results]> {
  switch (request.type) {
    case "detect":
      return detectProviders();
    case "load":
      return load({ request, signal });
    case "generate":
      return generate({ request, signal });
    case "logits":
      return logits({ request, signal });
    case "tokenise":
      return Promise.resolve({ tokens: held().tokenise(request.text) });
    case "info":
      return Promise.resolve({ model: model && infoOf(model) });
    case "cancel":
      return Promise.resolve({ found: false });
  }
}

async function load({ request: { id, options }, signal }: Job<"load">): Promise<ModelInfo> {
  await free();
  model = await loadModel(
    { ...options, manifestUrl: `/bundles/${encodeURIComponent(options.family)}/manifest.json` },
    {
      runtimes: browserRuntimes(),
      providers: await detectProviders(),
      signal,
      onProgress: (progress) => send({ id, type: "progress", progress }),
      onLost: (error) => {
        model = null;
        send({ id: null, type: "fault", error: failureData(error) });
      },
    },
  );
  return infoOf(model);
}

async function generate({ request, signal }: Job<"generate">): Promise<Results["generate"]> {
  const current = held();
  const { id, input, sampling, maxTokens, stopAtEos } = request;
  const seed = sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const onPrefill = (done: number, total: number): void =>
    send({ id, type: "progress", progress: { phase: "prefill", done, total, unit: "tokens", message: "Reading the prompt" } });
  const tokens = current.generate({ input, sampling, seed, maxTokens, stopAtEos, signal, onPrefill });
  for (;;) {
    const step = await tokens.next();
    if (step.done) {
      const { tokens: tokenIds, ...rest } = step.value;
      return { ...rest, tokenIds, seed, memory: current.memory() };
    }
    const { token: tokenId, ...rest } = step.value;
    send({ id, type: "stream", token: { tokenId, ...rest, memory: current.memory() } });
  }
}

async function logits({ request: { tokens, stepwise }, signal }: Job<"logits">): Promise<Results["logits"]> {
  const current = held();
  return { logits: await current.logits(tokens, stepwise, signal), positions: tokens.length, vocabularySize: current.description.vocabularySize };
}

function held(): Model {
  if (!model) throw new NoModelError();
  return model;
}

const infoOf = (current: Model): ModelInfo => ({ ...current.description, memory: current.memory() });

async function free(): Promise<void> {
  const last = model;
  model = null;
  await last?.dispose().catch(() => undefined); // a lost device cannot be released in order
}
