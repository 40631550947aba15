import { queryOf, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { metricsQuerySchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** Measures as columns, thinned to `points` a series; the extremes of what each point stands for are kept. */
export const GET = reading<{ node: string; id: string }>(async (request, { node, id }) => {
  const query = queryOf(request, metricsQuerySchema);
  return (await trainingService()).runs.metrics(node, id, query);
});
