import { z } from "zod";
import { bodyOf, changing, queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { launchRequestSchema, nodeIdSchema, runStateSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const filterSchema = z.object({ node: nodeIdSchema.optional(), state: runStateSchema.optional(), tag: z.string().max(40).optional(), family: z.string().max(64).optional() });

/** The runs of all nodes, newest first. */
export const GET = reading(async (request) => {
  const filter = queryOf(request, filterSchema);
  return { runs: await (await trainingService()).runs.list(filter) };
});

/** Launches a run. It is listed at once; what is prepared for it is told by events. */
export const POST = changing(async (request) => {
  const wanted = await bodyOf(request, launchRequestSchema);
  return Response.json(await (await trainingService()).launches.launch(wanted), { status: 202 });
});
