import { z } from "zod";
import { queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const querySchema = z.object({ from: z.coerce.number().int().nonnegative().default(0) });

/** The student's texts, oldest first, from the `from`th on. */
export const GET = reading<{ node: string; id: string }>(async (request, { node, id }) => {
  const { from } = queryOf(request, querySchema);
  return (await trainingService()).runs.samples(node, id, from);
});
