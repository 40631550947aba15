import { reading } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

/** The newest of the student's texts, oldest first. */
export const GET = reading<{ node: string; id: string }>(async (_, { node, id }) => (await trainingService()).runs.samples(node, id));
