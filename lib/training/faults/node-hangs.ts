/** Nodes that never answer, that talk garbage, and one whose agent stands still in mid-run: the others are not held up. */
import { startSshd } from "../testing/sshd";
import { openRemote, type Remote } from "./remote";
import { differences, readLosses, secondsSince, toldLosses, until, type Finding } from "./lab";
import { appendSteps, writeRun } from "./written-run";
import path from "node:path";

export async function nodeHangs(home: string): Promise<Finding[]> {
  const server = await startSshd({ mute: "exec sleep 120", junk: "while echo more and more of what nobody asked for; do :; done" });
  const remote: Remote = { server, root: path.join(server.folder, "node"), stop: () => server.stop() };
  const { service, node, close } = openRemote(home, remote);
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  let agent = 0;
  try {
    const id = "written-run";
    const folder = await writeRun(remote.root, id, process.pid);
    await appendSteps(folder, 1, 50);
    for (const alias of ["mute", "junk"]) service.nodes.add({ name: alias, kind: "ssh", destination: alias, root: remote.root });
    const rows: number[] = [];
    const leave = service.follow.subscribe({ node, run: id }, null, ({ event }) => event.type === "metrics" && rows.push(...event.rows.map(({ step }) => step)));
    await until("the run on the good node", async () => (await service.runs.list()).find((run) => run.node === node && run.id === id));
    const start = performance.now();
    const listed = await service.runs.list();
    const listSeconds = secondsSince(start);
    const codes = await until("what is wrong with the others", () => {
      const errors = service.nodes.list().filter(({ name }) => name === "mute" || name === "junk").map(({ error }) => error);
      return errors.every((error) => error !== null) && errors.map((error) => error?.code).sort().join(" ");
    });
    // The good node's agent stands still: its connection is given up, and a new agent goes on.
    agent = (await service.core.links.get(node)).hello.pid;
    process.kill(agent, "SIGSTOP");
    const still = performance.now();
    await appendSteps(folder, 51, 80);
    await until("a new agent", async () => {
      const connection = await service.core.links.get(node).catch(() => null);
      return connection !== null && connection.hello.pid !== agent;
    }, 60);
    await appendSteps(folder, 81, 100);
    await until("the last step", () => rows.includes(100), 60);
    const recovered = secondsSince(still);
    leave();
    const repeated = rows.length - new Set(rows).size;
    const wrong = differences(await toldLosses(service, node, id), await readLosses(folder)) + unhandled.length + (listed.some((run) => run.id === id) ? 0 : 1);
    return [
      { fault: "node_hangs", value: wrong === 0 ? 1 : 0, unit: "survived", of: { recovered_after_s: recovered, rows_told_twice: repeated, wrong, heartbeat_s: 1.5 } },
      { fault: "node_garbage", value: wrong === 0 ? 1 : 0, unit: "survived", of: { nodes: "one that never speaks, one that prints without end", told: codes, list_of_runs_s: listSeconds } },
    ];
  } finally {
    process.off("unhandledRejection", note);
    if (agent) {
      try {
        process.kill(agent, "SIGKILL");
      } catch {
        // It has ended with its connection.
      }
    }
    await close();
    await remote.stop();
  }
}
