/** A node whose clock is hours off: its agent and its runs live in another time than the dashboard. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { damageOf, findingOf, readLosses, request, untilState, type Finding, type Losses } from "./lab";
import { openRemote, startRemote } from "./remote";

/** Python reads this at its start: every clock that tells the time of day is off. */
const shifted = (seconds: number): string =>
  [`import time`, `_now, _now_ns = time.time, time.time_ns`, `time.time = lambda: _now() + ${seconds}`, `time.time_ns = lambda: _now_ns() + ${seconds} * 10**9`, ""].join("\n");

/** hours: how far the node's clock is ahead; below zero: behind. */
export async function clockSkew(home: string, reference: Losses | null, hours: number): Promise<Finding[]> {
  const seconds = 3600 * hours;
  const site = await mkdtemp(path.join(tmpdir(), "mambascope-clock-"));
  await writeFile(path.join(site, "sitecustomize.py"), shifted(seconds));
  const remote = await startRemote({ skewed: `PYTHONPATH=${site} exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"` });
  const python = path.join(remote.root, "env", "test", "bin", "python");
  const usual = await readFile(python, "utf8");
  await mkdir(path.dirname(python), { recursive: true });
  await writeFile(python, usual.replace("exec ", `PYTHONPATH="${site}:$PYTHONPATH" exec `));
  await chmod(python, 0o755);
  const { service, node, close } = openRemote(home, remote, "skewed");
  try {
    const { id } = await service.launches.launch(request(node));
    const states = new Set<string>();
    const leave = service.follow.subscribe({ node, run: id }, null, ({ event }) => event.type === "run" && event.run.id === id && states.add(event.run.state));
    const run = await untilState(service, node, id, "finished");
    leave();
    const folder = path.join(remote.root, "runs", id);
    const damage = damageOf(await readLosses(folder), reference);
    const { updated } = JSON.parse(await readFile(path.join(folder, "status.json"), "utf8")) as { updated: number };
    const off = updated - Date.now() / 1000;
    // Proof that the fault took place.
    if (Math.abs(off - seconds) > 900) throw new Error(`The node's clock is off by ${off} s, not by ${seconds}.`);
    const misread = [...states].filter((state) => state === "interrupted" || state === "failed" || state === "stopped");
    const fact = service.nodes.get(node).facts?.clockSkewSeconds;
    return [findingOf("clock_skew", { ...damage, lost: damage.lost + misread.length }, { hours, states: [...states].join(" "), run_state: run.state, ...(fact === undefined ? {} : { told_skew_s: Math.round(fact) }) })];
  } finally {
    await close();
    await remote.stop();
    await rm(site, { recursive: true, force: true });
  }
}
