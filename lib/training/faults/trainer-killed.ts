/** kill -9 of a run with all its processes, in the middle of a line of metrics. */
import path from "node:path";
import { startService } from "../testing/service";
import { damageOf, findingOf, killFamily, launchedPid, readLosses, request, secondsSince, tearLastLine, toldLosses, differences, untilState, untilStep, type Finding, type Losses } from "./lab";

export async function trainerKilled(home: string, reference: Losses | null): Promise<Finding[]> {
  const { service, close } = startService(home);
  try {
    const { id } = await service.launches.launch(request("local"));
    const folder = path.join(home, "runs", id);
    await untilStep(folder, 50);
    const processes = await killFamily(await launchedPid(folder));
    const before = await readLosses(folder);
    await tearLastLine(folder);
    const start = performance.now();
    const { message, action } = await untilState(service, "local", id, "interrupted");
    const noticed = secondsSince(start);
    const torn = differences(await toldLosses(service, "local", id), before);
    await service.launches.resume("local", id);
    await untilState(service, "local", id, "finished");
    const damage = damageOf(await readLosses(folder), reference);
    const told = differences(await toldLosses(service, "local", id), await readLosses(folder));
    return [
      findingOf("trainer_killed", { ...damage, lost: damage.lost + told }, { processes, at_step: before.byStep.size, noticed_after_s: noticed, said: `${message} ${action}` }),
      { fault: "torn_line", value: torn === 0 && damage.torn === 0 ? 1 : 0, unit: "survived", of: { lines_before: before.byStep.size, lines_misread: torn, torn_lines_left: damage.torn } },
    ];
  } finally {
    await close();
  }
}
