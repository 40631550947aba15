import { bodyOf, changing } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { estimateRequestSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

export const POST = changing(async (request) => {
  const wanted = await bodyOf(request, estimateRequestSchema);
  return (await trainingService()).configs.estimate(wanted);
});
