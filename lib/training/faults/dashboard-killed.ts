/** kill -9 of the dashboard while a run that it started goes on, and a new one on the same home folder. */
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { openDatabase } from "@/lib/db/connection";
import type { LaunchRequest, MetricsAnswer, RunSummary } from "../types";
import { damageOf, differences, findingOf, isAlive, launchedPid, readLosses, request, secondsSince, until, untilStep, type Finding, type Losses } from "./lab";

type Dashboard = { child: ChildProcess; url: string; get: <T>(path: string) => Promise<T>; launch: (request: LaunchRequest) => Promise<{ id: string }>; kill: () => Promise<void> };

/** Starts a dashboard as a process of its own. */
export async function startDashboard(home: string): Promise<Dashboard> {
  const child = spawn(process.execPath, [path.join("lib", "training", "faults", "start-dashboard.mjs"), home], { env: { ...process.env, MAMBASCOPE_HOME: home }, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve((JSON.parse(line) as { url: string }).url));
    child.once("exit", (code) => reject(new Error(`the dashboard ended with ${code}`)));
  });
  const json = async <T>(answer: Response): Promise<T> => {
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as T;
  };
  return {
    child,
    url,
    get: async (target) => json(await fetch(`${url}${target}`)),
    launch: async (wanted) => json(await fetch(`${url}/launch`, { method: "POST", body: JSON.stringify(wanted) })),
    kill: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  };
}

export async function dashboardKilled(home: string, reference: Losses | null): Promise<Finding[]> {
  let dashboard = await startDashboard(home);
  try {
    const { id } = await dashboard.launch(request("local"));
    const folder = path.join(home, "runs", id);
    const atStep = await untilStep(folder, 30);
    // Somebody watches, so that the dashboard is killed while it reads and writes its index.
    const watcher = await fetch(`${dashboard.url}/events?node=local&run=${id}`);
    await watcher.body?.getReader().read();
    await dashboard.kill();
    const pid = await launchedPid(folder);
    const wentOn = isAlive(pid) && (await untilStep(folder, Math.min(atStep + 15, 100))) > atStep;
    const start = performance.now();
    dashboard = await startDashboard(home);
    const found = await dashboard.get<RunSummary>(`/run?run=${id}`);
    const foundAfter = secondsSince(start);
    const told = await until("the end of the run", async () => {
      const run = await dashboard.get<RunSummary>(`/run?run=${id}`);
      if (run.state === "failed" || run.state === "interrupted") throw new Error(`${run.state}: ${run.message}`);
      return run.state === "finished" && dashboard.get<MetricsAnswer>(`/metrics?run=${id}`);
    });
    const losses = await readLosses(folder);
    const series: Losses = { byStep: new Map((told.series[0]?.step ?? []).map((step, k) => [step, told.series[0]?.value[k] ?? Number.NaN])), repeated: 0, torn: 0 };
    const damage = damageOf(losses, reference);
    await dashboard.kill();
    const { db } = openDatabase(home);
    const index = String(Object.values((db.prepare("pragma integrity_check").get() ?? {}) as Record<string, unknown>)[0]);
    db.close();
    const whole = wentOn && index === "ok" && differences(series, losses) === 0;
    return [findingOf("dashboard_killed", { ...damage, lost: damage.lost + (whole ? 0 : 1) }, { at_step: atStep, run_went_on: wentOn, found_as: found.state, found_after_s: foundAfter, index })];
  } finally {
    if (dashboard.child.exitCode === null && dashboard.child.signalCode === null) await dashboard.kill();
  }
}
