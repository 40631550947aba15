import { afterEach, describe, expect, it, vi } from "vitest";
import { nodesAnswerSchema } from "@/lib/training/types";
import { ask, explain, follow, TrainingError } from "./api";

/** The server's answers; the network is the only part that is stood in for. */
const answering = (answer: () => Promise<Response>) => vi.stubGlobal("fetch", answer);
afterEach(() => vi.unstubAllGlobals());

const failure = (work: Promise<unknown>) => work.then(() => null, (error: unknown) => (error instanceof TrainingError ? { code: error.code, ...explain(error) } : error));

describe("the routes", () => {
  it("give their own errors, with what to do", async () => {
    answering(async () => Response.json({ code: "run-unknown", message: "There is no run.", action: "Look again." }, { status: 404 }));
    expect(await failure(ask("/x", nodesAnswerSchema))).toEqual({ code: "run-unknown", message: "There is no run.", action: "Look again." });
    answering(async () => new Response("<html>", { status: 502 }));
    expect(await failure(ask("/x", nodesAnswerSchema))).toMatchObject({ code: "http-502", message: "The server answered 502." });
    answering(async () => Response.json({ nodes: 3 }));
    expect(await failure(ask("/x", nodesAnswerSchema))).toMatchObject({ code: "answer-invalid" });
    answering(async () => {
      throw new TypeError("fetch failed");
    });
    expect(await failure(ask("/x", nodesAnswerSchema))).toMatchObject({ code: "unreachable" });
  });
});

describe("a stream", () => {
  const events = ['retry: 2000\n\ndata: {"type":"progress","phase":"pip","message":"In', 'stalling","done":1,"total":2}\n\n: alive\n\ndata: {"type":"nonsense"}\n', '\ndata: {"type":"done","message":"Ready."}\n\n'];
  const stream = (parts: string[]) => new Response(new ReadableStream({ start: (controller) => (parts.forEach((part) => controller.enqueue(new TextEncoder().encode(part))), controller.close()) }));

  it("is read event by event, however it is cut", async () => {
    answering(async () => stream(events));
    const heard: string[] = [];
    await follow("/x", (event) => heard.push(event.type), new AbortController().signal);
    expect(heard).toEqual(["progress", "done"]);
  });

  it("that breaks off is an error", async () => {
    answering(async () => stream(events.slice(0, 2)));
    expect(await failure(follow("/x", () => {}, new AbortController().signal))).toMatchObject({ code: "stream-ended" });
  });
});
