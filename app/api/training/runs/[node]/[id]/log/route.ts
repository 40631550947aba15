import { z } from "zod";
import { queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const querySchema = z.object({ from: z.coerce.number().int().default(-65536) });

/** The log from a byte on; below zero: from so many bytes before its end. */
export const GET = reading<{ node: string; id: string }>(async (request, { node, id }) => {
  const { from } = queryOf(request, querySchema);
  return (await trainingService()).runs.log(node, id, from);
});
