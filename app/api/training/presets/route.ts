import { reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

export const GET = reading(async () => ({ presets: (await trainingService()).configs.presets() }));
