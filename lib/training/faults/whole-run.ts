/** The run without any fault: what the others are compared with. */
import path from "node:path";
import { startService } from "../testing/service";
import { damageOf, readLosses, request, undamaged, untilState, type Losses } from "./lab";

export async function wholeRun(home: string): Promise<Losses> {
  const { service, close } = startService(home);
  try {
    const { id } = await service.launches.launch(request("local"));
    await untilState(service, "local", id, "finished");
    const losses = await readLosses(path.join(home, "runs", id));
    if (JSON.stringify(damageOf(losses, null)) !== JSON.stringify(undamaged)) throw new Error("A run without a fault is not whole.");
    return losses;
  } finally {
    await close();
  }
}
