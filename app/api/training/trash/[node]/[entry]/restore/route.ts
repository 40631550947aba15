import { changing } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

export const POST = changing<{ node: string; entry: string }>(async (_, { node, entry }) => (await trainingService()).trash.restore(node, entry));
