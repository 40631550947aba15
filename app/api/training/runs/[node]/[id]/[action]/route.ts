import { z } from "zod";
import { bodyOf, changing } from "@/lib/training/service/http";
import { trainingService } from "@/lib/training/service";
import { restartRequestSchema } from "@/lib/training/types";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const actionSchema = z.enum(["stop", "kill", "resume", "restart", "export", "remove-export"]);

/** `stop` checkpoints first, `kill` does not; `restart` makes a new run of the same config and answers with it; `export` may take minutes. */
export const POST = changing<{ node: string; id: string; action: string }>(async (request, { node, id, action }) => {
  const { launches, exports } = await trainingService();
  switch (actionSchema.parse(action)) {
    case "stop":
      return launches.stop(node, id);
    case "kill":
      return launches.kill(node, id);
    case "resume":
      return launches.resume(node, id);
    case "restart":
      return launches.restart(node, id, await bodyOf(request, restartRequestSchema));
    case "export":
      return exports.exportRun(node, id);
    case "remove-export":
      return exports.removeExport(node, id);
  }
});
