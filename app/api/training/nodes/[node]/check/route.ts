import { changing, eventStream } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** Checks a node, step by step, as server-sent events. */
export const POST = changing<{ node: string }>(async (request, { node }) => {
  const join = (await trainingService()).nodes.check(node);
  return eventStream(request, (send, close) =>
    join((event) => {
      send(JSON.stringify(event));
      if (event.type === "done" || event.type === "error") close();
    }),
  );
});
