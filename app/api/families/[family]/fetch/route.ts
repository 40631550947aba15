import { describeFamily } from "@/lib/home/families";
import type { FetchEvent } from "@/lib/home/fetch-events";
import { cancelFetch, joinFetch } from "@/lib/home/fetch-job";
import { refusalOf } from "@/lib/home/origin";
import { isFamilyName } from "@/lib/home/paths";

type Context = { params: Promise<{ family: string }> };

const refuse = (status: number, code: string, message: string, action: string) =>
  Response.json({ type: "error", code, message, action } satisfies FetchEvent, { status });

/** Fetches what a family lacks, and streams the progress as server-sent events. Leaving the stream does not end the fetch. */
export async function POST(request: Request, { params }: Context): Promise<Response> {
  const refusal = refusalOf(request);
  if (refusal) return refuse(403, "forbidden", refusal, "Open the page at its own address.");
  const { family } = await params;
  const described = isFamilyName(family) ? await describeFamily(family) : null;
  if (!described) return refuse(404, "unknown-family", "There is no such family.", "Choose one of the listed families.");
  if (described.origin !== "gguf-package") {
    return refuse(409, "not-fetchable", `Nothing of ${described.title} is fetched: it ships whole.`, "Restore its files from the project's repository.");
  }

  const encoder = new TextEncoder();
  let leave = () => {};
  let open = true;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const close = () => {
        if (!open) return;
        open = false;
        leave();
        controller.close();
      };
      leave = joinFetch(family, (event) => {
        if (!open) return;
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(event)}\n\n`));
        if (event.type !== "progress") close();
      });
      request.signal.addEventListener("abort", close, { once: true });
    },
    cancel: () => {
      open = false;
      leave();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" } });
}

/** Cancels the running fetch for every listener. */
export async function DELETE(request: Request, { params }: Context): Promise<Response> {
  const refusal = refusalOf(request);
  if (refusal) return refuse(403, "forbidden", refusal, "Open the page at its own address.");
  const { family } = await params;
  return Response.json({ cancelled: cancelFetch(family) });
}
