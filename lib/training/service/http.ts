/** What all training routes share: the guard, reading a body, answers, errors, server-sent events. */
import { z } from "zod";
import { refusalOf } from "@/lib/home/origin";
import { errorBody, ServiceError, statusOf } from "./errors";

type Context<P> = { params: Promise<P> };
type Work<P> = (request: Request, params: P) => unknown;

/** A route that changes nothing. What `work` gives is sent as JSON; a Response goes out as it is. */
export function reading<P>(work: Work<P>) {
  return async (request: Request, { params }: Context<P>): Promise<Response> => {
    try {
      return answer(await work(request, await params));
    } catch (error) {
      return errorAnswer(error);
    }
  };
}

/** A route that changes something: as {@link reading}, for requests of the app's own pages alone. */
export function changing<P>(work: Work<P>) {
  return reading<P>((request, params) => {
    const refusal = refusalOf(request);
    if (refusal) throw new ServiceError(403, "forbidden", refusal, "Open the page at its own address.");
    return work(request, params);
  });
}

const headers = { "Cache-Control": "no-store" };

function answer(value: unknown): Response {
  if (value instanceof Response) return value;
  return value === undefined ? new Response(null, { status: 204, headers }) : Response.json(value, { headers });
}

export function errorAnswer(error: unknown): Response {
  const status = statusOf(error);
  // Errors of the project's own are told to the page; others are for whoever runs the server.
  if (status === 500) console.error(error);
  return Response.json(errorBody(error), { status, headers });
}

const longestBody = 1024 * 1024;

/** The request's JSON, checked; an empty body is `{}`. Throws ServiceError or ZodError. */
export async function bodyOf<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const text = await request.text();
  if (text.length > longestBody) throw new ServiceError(413, "input-too-long", "The request is too long.", "Shorten the config or the notes.");
  let json: unknown;
  try {
    json = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw new ServiceError(400, "input-invalid", "The request is not JSON.", "Reload the page, then try again.");
  }
  return schema.parse(json);
}

/** The query of the address, checked. Throws ZodError. */
export function queryOf<T>(request: Request, schema: z.ZodType<T>): T {
  return schema.parse(Object.fromEntries(new URL(request.url).searchParams));
}

const heartbeatMs = 15_000;
/** Bytes that wait for a reader who does not take them; such a reader is let go, and its browser connects again. */
const mostWaiting = 8 * 1024 * 1024;

/**
 * A stream of server-sent events. `start` gets `send` (of JSON) and `close`, and gives the way to stop telling; a comment each
 * 15 s keeps the connection, and finds readers that are gone.
 */
export function eventStream(request: Request, start: (send: (data: string, id?: string) => void, close: () => void) => () => void): Response {
  const encoder = new TextEncoder();
  let end = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let open = true;
        let leave = () => {};
        const beat = setInterval(() => put(": alive\n\n"), heartbeatMs);
        beat.unref();
        end = () => {
          if (!open) return;
          open = false;
          clearInterval(beat);
          leave();
        };
        const close = () => {
          if (!open) return;
          end();
          controller.close();
        };
        const put = (text: string) => {
          if (!open) return;
          if ((controller.desiredSize ?? 0) < -mostWaiting) close();
          else controller.enqueue(encoder.encode(text));
        };
        request.signal.addEventListener("abort", close, { once: true });
        // Sent at once, so that the browser knows the stream is open, and how soon to come back.
        put("retry: 2000\n\n");
        leave = start((data, id) => put(`${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`), close);
        if (!open) leave();
      },
      cancel: () => end(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
  );
  return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no" } });
}
