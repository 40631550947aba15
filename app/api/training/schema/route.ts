import { reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** The JSON Schema of a run config. */
export const GET = reading(async () => (await trainingService()).configs.schema());
