import { z } from "zod";
import { changing } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

export const DELETE = changing<{ configuration: string }>(async (_, { configuration }) => (await trainingService()).configs.forget(z.coerce.number().int().parse(configuration)));
