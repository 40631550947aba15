import { changing, eventStream } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

type Params = { node: string };

/** Makes a node's environment, or joins the making of it; progress as server-sent events. Leaving does not end it. */
export const POST = changing<Params>(async (request, { node }) => {
  const join = (await trainingService()).nodes.prepare(node);
  return eventStream(request, (send, close) =>
    join((event) => {
      send(JSON.stringify(event));
      if (event.type === "done" || event.type === "error") close();
    }),
  );
});

/** Cancels it, for everyone who waits. */
export const DELETE = changing<Params>(async (_, { node }) => ({ cancelled: (await trainingService()).nodes.cancelPrepare(node) }));
