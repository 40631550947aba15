import { describe, expect, it } from "vitest";
import type { WorkerLike } from "./connection";
import { createSpeculativeClient } from "./speculative-client";
import { type SpeculativeAnswer, type SpeculativeRequest, speculativeRequestSchema } from "./speculative-protocol";

/** A transport in place of a worker: checks each request by the protocol's schema and answers by `respond`. */
function transport(respond: (request: SpeculativeRequest, answer: (answer: SpeculativeAnswer) => void) => void): () => WorkerLike {
  return () => {
    const worker: WorkerLike = {
      onmessage: null,
      onerror: null,
      terminate: () => undefined,
      postMessage: (message: unknown) => {
        const request = speculativeRequestSchema.parse(message);
        queueMicrotask(() => respond(request, (answer) => worker.onmessage?.({ data: answer } as MessageEvent)));
      },
    };
    return worker;
  };
}

describe("the speculative client", () => {
  it("passes a run's events on and steers it by its own id", async () => {
    const heard: string[] = [];
    let running = -1;
    const client = createSpeculativeClient(
      transport((request, answer) => {
        heard.push(request.type);
        if (request.type === "run") {
          running = request.id;
          expect(request).toMatchObject({ K: "adaptive", pace: { mode: "step" }, sampling: { temperature: 0 }, probabilities: true });
          answer({ id: running, type: "first", token: { token: 7, text: "a", index: 1, milliseconds: 2 } });
        }
        if (request.type === "pace" || request.type === "next") {
          expect(request.target).toBe(running);
          answer({ id: request.id, type: "result", result: { found: true } });
        }
        if (request.type === "pace") answer({ id: running, type: "error", error: { code: "internal", message: "Stopped.", action: "" } });
      }),
    );
    const firsts: number[] = [];
    const run = client.run({ prompt: "x" }, { pace: { mode: "step" }, onFirst: ({ token }) => firsts.push(token) });
    run.controls.next();
    run.controls.pace({ mode: "slow", delayMs: 100 });
    await expect(run).rejects.toThrow("Stopped.");
    expect(firsts).toEqual([7]);
    expect(heard).toEqual(["run", "next", "pace"]);
  });
});

describe("speculative requests", () => {
  const valid = (request: object): boolean => speculativeRequestSchema.safeParse({ id: 1, ...request }).success;

  it("name one target, and a draft of a known kind", () => {
    const load = (options: object): boolean => valid({ type: "load", options: { family: "stories", draft: { kind: "lookup" }, ...options } });
    expect([load({ variant: "attn50" }), load({ pattern: "a.m~x" }), load({}), load({ variant: "a", pattern: "a" })]).toEqual([true, true, false, false]);
    const draft = (choice: object): boolean => valid({ type: "draft", draft: choice });
    expect([draft({ kind: "model", variant: "draft2" }), draft({ kind: "model" }), draft({ kind: "layers", count: 0 }), draft({ kind: "oracle" })]).toEqual([true, false, false, false]);
  });

  it("draft one to eight tokens, or as many as are worth it", () => {
    const run = (K: unknown): boolean => valid({ type: "run", input: { prompt: "x" }, sampling: {}, K, maxTokens: 4 });
    expect([run(1), run(8), run("adaptive"), run(0), run(9), run(1.5)]).toEqual([true, true, true, false, false, false]);
  });
});
