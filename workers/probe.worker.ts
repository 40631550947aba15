/** The probe worker: validates requests, runs them over lib/inference/probe, and answers with data. */
import { NoModelError } from "@/lib/inference/errors";
import { failureData } from "@/lib/inference/failure-data";
import type { Call } from "@/lib/inference/probe/call";
import { JobQueue } from "@/lib/inference/probe/job-queue";
import { loadProbe } from "@/lib/inference/probe/load";
import type { Probe } from "@/lib/inference/probe/probe";
import { detectProviders } from "@/lib/inference/providers";
import { browserRuntimes } from "@/lib/inference/runtime";
import { type ProbeAnswer, type ProbeRequest, probeRequestSchema, type ProbeResults } from "./probe-protocol";
import { readRequest } from "./read-request";

const send = (answer: ProbeAnswer, transfer: Transferable[] = []): void => self.postMessage(answer, { transfer });
const cancellers = new Map<number, { readonly controller: AbortController; readonly priority: number }>();
const queue = new JobQueue();
/** Sweeps step aside for what the visitor does meanwhile. */
const PRIORITY: Partial<Record<ProbeRequest["type"], number>> = { distances: 1, sensitivity: 2 };
let probe: Probe | null = null;

self.onmessage = (event: MessageEvent<unknown>) => {
  const request = readRequest(probeRequestSchema, event.data, send);
  if (!request) return;
  if (request.type === "cancel") {
    const canceller = cancellers.get(request.target);
    canceller?.controller.abort(cancellation());
    return send({ id: request.id, type: "result", result: { found: canceller !== undefined } });
  }
  // A sweep over a text that is to be replaced has no more use.
  if (request.type === "text" || request.type === "load") for (const { controller, priority } of cancellers.values()) if (priority > 0) controller.abort(cancellation());
  const priority = PRIORITY[request.type] ?? 0;
  const controller = new AbortController();
  cancellers.set(request.id, { controller, priority });
  queue.add({ priority, signal: controller.signal, run: (checkpoint) => answer(request, controller.signal, checkpoint) });
};

async function answer(request: Exclude<ProbeRequest, { type: "cancel" }>, signal: AbortSignal, checkpoint: () => Promise<void>): Promise<void> {
  const { id } = request;
  try {
    signal.throwIfAborted();
    const result = await perform(request, { checkpoint, signal, onProgress: (progress) => send({ id, type: "progress", progress }) });
    // A comparison is kept here, so it is copied; the matrices are not.
    send({ id, type: "result", result }, "attention" in result ? [result.attention.buffer as ArrayBuffer, result.mamba.buffer as ArrayBuffer] : []);
  } catch (error) {
    const data = failureData(error, signal);
    if (data.code === "device_lost" || data.code === "out_of_memory") await free();
    send({ id, type: "error", error: data });
  } finally {
    cancellers.delete(id);
  }
}

async function perform(request: Exclude<ProbeRequest, { type: "cancel" }>, call: Call): Promise<ProbeResults[keyof ProbeResults]> {
  switch (request.type) {
    case "load":
      return load(request, call);
    case "text":
      return held().text(request.text, call);
    case "compare":
      return held().compare(request.layers, call);
    case "distances":
      return { distances: await held().distances(request.set, call) };
    case "sensitivity": {
      const onLayer = (sensitivity: ProbeResults["sensitivity"]["sensitivities"][number]): void => send({ id: request.id, type: "partial", sensitivity });
      return { sensitivities: await held().sensitivity(request.set, request.layers, call, onLayer) };
    }
    case "inside":
      return held().inside(request.layer, request.set, call);
    case "decode":
      return { pieces: held().decode(request.tokens) };
  }
}

async function load({ options }: ProbeRequest & { type: "load" }, call: Call): Promise<ProbeResults["load"]> {
  await free();
  probe = await loadProbe(
    { ...options, manifestUrl: `/bundles/${encodeURIComponent(options.family)}/manifest.json` },
    {
      runtimes: browserRuntimes(),
      providers: await detectProviders(),
      call,
      onLost: (error) => {
        probe = null;
        send({ id: null, type: "fault", error: failureData(error) });
      },
    },
  );
  return probe.info();
}

function held(): Probe {
  if (!probe) throw new NoModelError();
  return probe;
}

async function free(): Promise<void> {
  const last = probe;
  probe = null;
  await last?.dispose();
}

const cancellation = (): DOMException => new DOMException("Cancelled", "AbortError");
