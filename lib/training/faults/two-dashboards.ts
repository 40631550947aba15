/** Two dashboards, each with a home folder of its own, on one node: what one does the other sees, and nothing is done twice. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { damageOf, differences, findingOf, readLosses, request, toldLosses, until, untilState, untilStep, type Finding, type Losses } from "./lab";
import { openRemote, startRemote } from "./remote";

export async function twoDashboards(homes: readonly [string, string], reference: Losses | null): Promise<Finding[]> {
  const remote = await startRemote();
  const one = openRemote(homes[0], remote);
  const other = openRemote(homes[1], remote);
  try {
    const { id } = await one.service.launches.launch(request(one.node));
    const folder = path.join(remote.root, "runs", id);
    await untilStep(folder, 20);
    await untilState(other.service, other.node, id, "running");
    await other.service.runs.patch(other.node, id, { notes: "seen by the other", tags: ["shared"] });
    await until("the other's notes", async () => (await one.service.runs.summary(one.node, id)).notes === "seen by the other");
    await other.service.launches.stop(other.node, id);
    await Promise.all([untilState(one.service, one.node, id, "stopped"), untilState(other.service, other.node, id, "stopped")]);
    const stoppedAt = (await readLosses(folder)).byStep.size;
    // Both at one moment.
    const answers = await Promise.allSettled([one.service.launches.resume(one.node, id), other.service.launches.resume(other.node, id)]);
    await Promise.all([untilState(one.service, one.node, id, "finished"), untilState(other.service, other.node, id, "finished")]);
    const losses = await readLosses(folder);
    const damage = damageOf(losses, reference);
    const told = differences(await toldLosses(one.service, one.node, id), losses) + differences(await toldLosses(other.service, other.node, id), losses);
    const starts = (await readFile(path.join(folder, "log.txt"), "utf8")).split("\n").filter((line) => /step 1 of 1: Training$/.test(line)).length;
    return [findingOf("two_dashboards", { ...damage, lost: damage.lost + told, repeated: damage.repeated + Math.abs(starts - 2) }, { stopped_at_step: stoppedAt, resumed_at_once_by: answers.length, starts_of_the_trainer: starts })];
  } finally {
    await one.close();
    await other.close();
    await remote.stop();
  }
}
