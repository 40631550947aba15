import { bodyOf, changing, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { runPatchSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

type Params = { node: string; id: string };

export const GET = reading<Params>(async (_, { node, id }) => (await trainingService()).runs.detail(node, id));

/** Notes and tags. */
export const PATCH = changing<Params>(async (request, { node, id }) => {
  const patch = await bodyOf(request, runPatchSchema);
  return (await trainingService()).runs.patch(node, id, patch);
});

/** Moves the run to the trash. */
export const DELETE = changing<Params>(async (_, { node, id }) => (await trainingService()).trash.remove(node, id));
