import { bodyOf, changing, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { addNodeSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** The nodes: this machine first, the shipped histories last. */
export const GET = reading(async () => ({ nodes: (await trainingService()).nodes.list() }));

/** Adds a node over SSH. */
export const POST = changing(async (request) => {
  const wanted = await bodyOf(request, addNodeSchema);
  return Response.json((await trainingService()).nodes.add(wanted), { status: 201 });
});
