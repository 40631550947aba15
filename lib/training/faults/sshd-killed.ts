/** The network to a node and its sshd end in mid-run, and come back. */
import path from "node:path";
import { damageOf, differences, findingOf, isAlive, launchedPid, readLosses, request, secondsSince, toldLosses, until, untilState, untilStep, type Finding, type Losses } from "./lab";
import { openRemote, startRemote } from "./remote";

export async function sshdKilled(home: string, reference: Losses | null): Promise<Finding[]> {
  const remote = await startRemote();
  const { service, node, close } = openRemote(home, remote);
  try {
    const { id } = await service.launches.launch(request(node));
    const leave = service.follow.subscribe({ node, run: id }, null, () => undefined);
    const folder = path.join(remote.root, "runs", id);
    const atStep = await untilStep(folder, 20);
    const start = performance.now();
    await remote.server.halt();
    const away = await until("the news that the node is away", async () => {
      const run = await service.runs.summary(node, id);
      return run.stale && run;
    });
    const noticed = secondsSince(start);
    const pid = await launchedPid(folder);
    const wentOn = isAlive(pid) && (await untilStep(folder, Math.min(atStep + 15, 110))) > atStep;
    const back = performance.now();
    await remote.server.resume();
    await until("the node's return", async () => !(await service.runs.summary(node, id)).stale);
    const returned = secondsSince(back);
    await untilState(service, node, id, "finished");
    leave();
    const losses = await readLosses(folder);
    const mirrored = differences(await readLosses(path.join(home, "mirror", node, id)), losses) + differences(await toldLosses(service, node, id), losses);
    const damage = damageOf(losses, reference);
    return [findingOf("sshd_killed", { ...damage, lost: damage.lost + mirrored + (wentOn ? 0 : 1) }, { at_step: atStep, shown_as: `${away.state}, stale`, noticed_after_s: noticed, back_after_s: returned, run_went_on: wentOn })];
  } finally {
    await close();
    await remote.stop();
  }
}
