import { z } from "zod";
import { eventStream, queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { nodeIdSchema, runIdSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const querySchema = z.object({ node: nodeIdSchema.optional(), run: runIdSchema.optional() });

/** What happens to nodes and runs, as server-sent events; with `node` and `run` also that run's measures, log and samples. */
export const GET = reading(async (request) => {
  const { node, run } = queryOf(request, querySchema);
  const { follow } = await trainingService();
  const lastId = request.headers.get("last-event-id");
  const interest = node !== undefined && run !== undefined ? { node, run } : null;
  return eventStream(request, (send) => follow.subscribe(interest, lastId, ({ id, data }) => send(data, id)));
});
