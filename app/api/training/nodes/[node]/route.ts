import { bodyOf, changing, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { updateNodeSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

type Params = { node: string };

export const GET = reading<Params>(async (_, { node }) => (await trainingService()).nodes.get(node));

export const PATCH = changing<Params>(async (request, { node }) => {
  const change = await bodyOf(request, updateNodeSchema);
  return (await trainingService()).nodes.update(node, change);
});

/** Forgets a node. Its files, and runs that go on there, stay as they are. */
export const DELETE = changing<Params>(async (_, { node }) => (await trainingService()).nodes.remove(node));
