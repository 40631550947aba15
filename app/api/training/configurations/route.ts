import { z } from "zod";
import { bodyOf, changing, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { configDocumentSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const saveSchema = z.strictObject({ name: z.string().trim().min(1).max(80), config: configDocumentSchema, note: z.string().max(2000).optional() });

export const GET = reading(async () => ({ configurations: (await trainingService()).configs.saved() }));

/** Saves a config under a name; one of that name is replaced. */
export const POST = changing(async (request) => {
  const wanted = await bodyOf(request, saveSchema);
  return (await trainingService()).configs.save(wanted);
});
