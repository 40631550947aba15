import { expect, it, vi } from "vitest";
import { z } from "zod";
import { NodeError } from "../hosts/errors";
import { errorBodySchema } from "../types";
import { ServiceError } from "./errors";
import { bodyOf, changing, eventStream, reading } from "./http";

const request = (headers: Record<string, string> = {}, init: RequestInit = {}) => new Request("http://localhost:3000/api/training/x", { ...init, headers: { host: "localhost:3000", ...headers } });
const context = { params: Promise.resolve({}) };

it("answers with JSON that no cache keeps, or with nothing", async () => {
  const answer = await reading(() => ({ a: 1 }))(request(), context);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(await answer.json()).toEqual({ a: 1 });
  expect((await changing(() => undefined)(request(), context)).status).toBe(204);
});

it("changes nothing for other sites and other names of this machine", async () => {
  const work = vi.fn();
  for (const headers of [{ origin: "https://evil.example" }, { "sec-fetch-site": "cross-site" }, { host: "evil.example" }] as Record<string, string>[]) {
    const answer = await changing(work)(request(headers, { method: "POST" }), context);
    expect(answer.status).toBe(403);
    expect(errorBodySchema.parse(await answer.json()).code).toBe("forbidden");
  }
  expect(work).not.toHaveBeenCalled();
  await changing(work)(request({ origin: "http://localhost:3000", "sec-fetch-site": "same-origin" }, { method: "POST" }), context);
  expect(work).toHaveBeenCalledOnce();
});

it("tells every error as code, message and action, with its status", async () => {
  const silent = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  const cases: [unknown, number, string][] = [
    [new ServiceError(422, "config-invalid", "No.", "Do."), 422, "config-invalid"],
    [new NodeError("run-busy", "No.", "Do."), 409, "run-busy"],
    [new NodeError("permission-denied", "No.", "Do."), 502, "permission-denied"],
    [full, 507, "disk-full"],
    [new Error("secret"), 500, "internal"],
  ];
  for (const [error, status, code] of cases) {
    const answer = await reading(() => Promise.reject(error))(request(), context);
    expect([answer.status, errorBodySchema.parse(await answer.json()).code]).toEqual([status, code]);
  }
  expect(silent).toHaveBeenCalledTimes(1);
  silent.mockRestore();
});

it("checks bodies: their form, their size, their fields", async () => {
  const schema = z.strictObject({ name: z.string() });
  const post = (body: string) => changing(async (req) => bodyOf(req, schema))(request({}, { method: "POST", body }), context);
  expect(await (await post('{"name": "x"}')).json()).toEqual({ name: "x" });
  for (const [body, status] of [["{", 400], ["", 422], ['{"name": 1}', 422], ['{"name": "x", "more": 1}', 422], [`{"name": "${"x".repeat(2 ** 20)}"}`, 413]] as const) {
    const answer = await post(body);
    expect([body.slice(0, 20), answer.status]).toEqual([body.slice(0, 20), status]);
    expect(errorBodySchema.parse(await answer.json()).action).toBeTruthy();
  }
});

it("streams events with ids and a heartbeat, until the reader leaves", async () => {
  vi.useFakeTimers();
  const gone = new AbortController();
  const left = vi.fn();
  let send: (data: string, id?: string) => void = () => undefined;
  const stream = eventStream(request({}, { signal: gone.signal }), (tell) => {
    send = tell;
    return left;
  });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  const next = async () => (await reader?.read())?.value;
  expect(await next()).toBe("retry: 2000\n\n");
  send('{"a":1}', "7");
  expect(await next()).toBe('id: 7\ndata: {"a":1}\n\n');
  await vi.advanceTimersByTimeAsync(15_000);
  expect(await next()).toBe(": alive\n\n");
  gone.abort();
  expect(await next()).toBeUndefined();
  expect(left).toHaveBeenCalledOnce();
  send("late");
  vi.useRealTimers();
});

it("lets a reader go that takes nothing", async () => {
  const left = vi.fn();
  let send: (data: string) => void = () => undefined;
  eventStream(request(), (tell) => {
    send = tell;
    return left;
  });
  for (let i = 0; i < 20 && left.mock.calls.length === 0; i++) send("x".repeat(2 ** 20));
  expect(left).toHaveBeenCalledOnce();
});
