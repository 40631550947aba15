import { describe, expect, it } from "vitest";
import { createInferenceClient, InferenceError, type WorkerLike } from "./client";
import { type Answer, type Request, requestSchema } from "./protocol";

/** A transport in place of a worker: checks each request by the protocol's schema and answers by `respond`. */
function transport(respond: (request: Request, answer: (answer: Answer) => void) => void): { start: () => WorkerLike; started: () => number; ended: () => number } {
  let [started, ended] = [0, 0];
  return {
    started: () => started,
    ended: () => ended,
    start: () => {
      started++;
      const worker: WorkerLike = {
        onmessage: null,
        onerror: null,
        terminate: () => void ended++,
        postMessage: (message: unknown) => {
          const request = requestSchema.parse(message);
          queueMicrotask(() => respond(request, (answer) => worker.onmessage?.({ data: answer } as MessageEvent)));
        },
      };
      return worker;
    },
  };
}

const failure = { code: "no_model", message: "No model is loaded.", action: "Load a model first." } as const;

describe("the client", () => {
  it("matches answers to requests in any order, and passes progress on", async () => {
    const held: (() => void)[] = [];
    const { start } = transport((request, answer) => {
      if (request.type !== "tokenise") return;
      answer({ id: request.id, type: "progress", progress: { phase: "prefill", done: 1, total: 2, unit: "tokens", message: request.text } });
      held.push(() => answer({ id: request.id, type: "result", result: { tokens: [request.text.length] } }));
      if (held.length === 2) held.reverse().forEach((send) => send());
    });
    const client = createInferenceClient(start);
    expect(await Promise.all([client.tokenise("a"), client.tokenise("bcd")])).toEqual([[1], [3]]);
  });

  it("turns error data into errors with an action", async () => {
    const client = createInferenceClient(transport((request, answer) => answer({ id: request.id, type: "error", error: failure })).start);
    const error = await client.generate({ prompt: "x" }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InferenceError);
    expect(error).toMatchObject(failure);
  });

  it("cancels by the request's id", async () => {
    let running = 0;
    const { start } = transport((request, answer) => {
      if (request.type === "generate") running = request.id;
      if (request.type === "cancel") {
        expect(request.target).toBe(running);
        answer({ id: running, type: "error", error: { code: "cancelled", message: "Cancelled.", action: "" } });
      }
    });
    const canceller = new AbortController();
    const pending = createInferenceClient(start).generate({ prompt: "x" }, { signal: canceller.signal });
    canceller.abort();
    await expect(pending).rejects.toMatchObject({ code: "cancelled" });
  });

  it("ends the worker on unload and on a fault, fails what waits, and starts a new one on demand", async () => {
    let fail = (): void => undefined;
    const workers = transport((request, answer) => {
      if (request.type === "tokenise") answer({ id: request.id, type: "result", result: { tokens: [] } });
      fail = () => answer({ id: null, type: "fault", error: { code: "device_lost", message: "Lost.", action: "Load again." } });
    });
    const client = createInferenceClient(workers.start);
    const heard: string[] = [];
    client.onFault(({ code }) => heard.push(code));
    const waiting = client.generate({ prompt: "x" });
    await Promise.resolve();
    fail();
    await expect(waiting).rejects.toMatchObject({ code: "device_lost" });
    expect(heard).toEqual(["device_lost"]);
    expect(await client.info()).toBeNull();
    await client.tokenise("x");
    client.unload();
    expect([workers.started(), workers.ended()]).toEqual([2, 2]);
  });
});

describe("requests", () => {
  it("must name a variant or a pattern, and sane sampling", () => {
    const load = (options: object): boolean => requestSchema.safeParse({ id: 1, type: "load", options: { family: "stories", ...options } }).success;
    expect([load({ variant: "teacher" }), load({ pattern: "a.m~x" }), load({}), load({ variant: "a", pattern: "a" })]).toEqual([true, true, false, false]);
    const generate = (sampling: object): boolean => requestSchema.safeParse({ id: 1, type: "generate", input: { prompt: "" }, sampling, maxTokens: 1 }).success;
    expect([generate({}), generate({ topP: 0 }), generate({ temperature: -1 }), generate({ seed: 1.5 })]).toEqual([true, false, false, false]);
  });
});
