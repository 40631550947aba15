import { changing } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** Deletes one run in the trash, for good. */
export const DELETE = changing<{ node: string; entry: string }>(async (_, { node, entry }) => (await trainingService()).trash.purge(node, entry));
