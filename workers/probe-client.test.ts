import { describe, expect, it } from "vitest";
import { InferenceError, type WorkerLike } from "./client";
import { createProbeClient } from "./probe-client";
import { type ProbeAnswer, type ProbeRequest, probeRequestSchema } from "./probe-protocol";

type Transport = { start: () => WorkerLike; workers: { ended: boolean; seen: ProbeRequest["type"][] }[] };

/** A transport in place of workers: checks each request by the protocol's schema and answers by `respond`. */
function transport(respond: (request: ProbeRequest, answer: (answer: ProbeAnswer) => void) => void): Transport {
  const workers: Transport["workers"] = [];
  const start = (): WorkerLike => {
    const state = { ended: false, seen: [] as ProbeRequest["type"][] };
    workers.push(state);
    const worker: WorkerLike = {
      onmessage: null,
      onerror: null,
      terminate: () => void (state.ended = true),
      postMessage: (message: unknown) => {
        const request = probeRequestSchema.parse(message);
        state.seen.push(request.type);
        queueMicrotask(() => respond(request, (answer) => worker.onmessage?.({ data: answer } as MessageEvent)));
      },
    };
    return worker;
  };
  return { start, workers };
}

const sensitivity = (layer: number) => ({ layer, kl: layer / 10, agreement: 1 });

describe("the probe's client", () => {
  it("passes progress and finished layers on, and matches answers to requests", async () => {
    const { start } = transport((request, answer) => {
      if (request.type === "decode") answer({ id: request.id, type: "result", result: { pieces: request.tokens.map(String) } });
      if (request.type !== "sensitivity") return;
      answer({ id: request.id, type: "progress", progress: { phase: "sensitivity", done: 0, total: 2, unit: "layers", message: request.set } });
      for (const layer of request.layers ?? [0, 1]) answer({ id: request.id, type: "partial", sensitivity: sensitivity(layer) });
      answer({ id: request.id, type: "result", result: { sensitivities: [sensitivity(3)] } });
    });
    const client = createProbeClient(start);
    const heard: unknown[] = [];
    const sweep = client.sensitivity("aligned", { layers: [3, 5], onLayer: ({ layer }) => heard.push(layer), onProgress: ({ message }) => heard.push(message) });
    expect(await client.decode([7, 8])).toEqual(["7", "8"]);
    expect(await sweep).toEqual({ sensitivities: [sensitivity(3)] });
    expect(heard).toEqual(["aligned", 3, 5]);
  });

  it("cancels by the request's id, also one that was cancelled before it was sent", async () => {
    const running = new Set<number>();
    const { start } = transport((request, answer) => {
      if (request.type === "compare") running.add(request.id);
      if (request.type !== "cancel") return;
      expect(running.has(request.target)).toBe(true);
      answer({ id: request.target, type: "error", error: { code: "cancelled", message: "Cancelled.", action: "" } });
    });
    const client = createProbeClient(start);
    const canceller = new AbortController();
    const pending = client.compare(["attention"], { signal: canceller.signal });
    canceller.abort();
    await expect(pending).rejects.toMatchObject({ code: "cancelled" });
    await expect(client.compare(["attention"], { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(InferenceError);
  });

  it("starts a new worker for a second family, after unload and after a fault, and fails what waits", async () => {
    const { start, workers } = transport((request, answer) => {
      if (request.type === "load" && request.options.family === "lost") {
        answer({ id: null, type: "fault", error: { code: "device_lost", message: "Lost.", action: "Load again." } });
      }
    });
    const client = createProbeClient(start);
    const faults: string[] = [];
    const stop = client.onFault(({ code }) => faults.push(code));
    const first = client.load({ family: "a" });
    const second = client.load({ family: "b" });
    await expect(first).rejects.toMatchObject({ code: "cancelled" });
    client.unload();
    await expect(second).rejects.toMatchObject({ code: "cancelled" });
    await expect(client.load({ family: "lost" })).rejects.toMatchObject({ code: "device_lost" });
    expect(faults).toEqual(["device_lost"]);
    stop();
    await expect(client.load({ family: "lost" })).rejects.toMatchObject({ code: "device_lost" });
    expect(faults.length).toBe(1);
    expect(workers.map(({ ended, seen }) => [ended, seen])).toEqual(new Array(4).fill([true, ["load"]]));
  });
});
