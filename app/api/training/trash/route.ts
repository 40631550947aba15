import { changing, reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

export const GET = reading(async () => ({ entries: await (await trainingService()).trash.list() }));

/** Empties the trash of all nodes, for good. */
export const DELETE = changing(async () => (await trainingService()).trash.empty());
