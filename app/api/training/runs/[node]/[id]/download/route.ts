import { z } from "zod";
import { queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const querySchema = z.object({ checkpoints: z.enum(["0", "1"]).default("0") });

/** The run directory as a tar.gz; its checkpoints only with `checkpoints=1`. */
export const GET = reading<{ node: string; id: string }>(async (request, { node, id }) => {
  const { checkpoints } = queryOf(request, querySchema);
  const body = await (await trainingService()).runs.download(node, id, checkpoints === "1", request.signal);
  return new Response(body, {
    headers: { "Content-Type": "application/gzip", "Content-Disposition": `attachment; filename="${id}.tar.gz"`, "Cache-Control": "no-store" },
  });
});
