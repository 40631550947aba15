/**
 * `npm run bench:reliability`: does to real runs what happens to them (lib/training/faults), and writes what came of it. Every faulted run is
 * compared, loss by loss, with one that nothing happened to. Options: the faults to try; only a run of all writes results/reliability.json.
 */
import { say } from "../lib/console.mjs";
import { homeFolder } from "../lib/paths.mjs";
import { ensureVenv, installRequirements } from "../lib/python.mjs";
import { SetupError } from "../lib/run.mjs";
import { Collected, quietLoad, writeResults } from "./results";
import { measureRunOpening } from "./runs";
import type { Finding, Losses } from "@/lib/training/faults/lab";

type Try = (homes: readonly [string, string], reference: Losses | null) => Promise<Finding[] | null>;

export async function main(options: string[]): Promise<number> {
  process.env.MAMBASCOPE_TEST_PYTHON ??= await trainerEnvironment();
  process.env.OMP_NUM_THREADS = "1";
  // Imported when the environment is there, which they look for.
  const [lab, { wholeRun }, tries] = await Promise.all([import("@/lib/training/faults/lab"), import("@/lib/training/faults/whole-run"), faults()]);
  const unknown = options.find((name) => !tries.has(name));
  if (unknown) throw new SetupError("fault", `There is no fault "${unknown}".`, `Name some of: ${[...tries.keys()].join(", ")}.`);

  const load_average = await quietLoad();
  const collected = new Collected();
  const home = async () => lab.faultHome();
  say("── a run without a fault");
  const first = await home();
  const reference = await wholeRun(first.home).finally(() => first.remove());

  for (const [name, attempt] of tries) {
    if (options.length > 0 && !options.includes(name)) continue;
    say(`── ${name}`);
    const homes = await Promise.all([home(), home()]);
    try {
      const findings = await attempt([homes[0].home, homes[1].home], reference);
      if (!findings) say("  cannot be tried on this machine");
      for (const { fault, value, unit, of } of findings ?? []) collected.add({ metric: `reliability.${fault}`, value, unit, of: { ...of, load_average } });
    } catch (error) {
      collected.add({ metric: `reliability.${name}`, value: 0, unit: "survived", of: { problem: error instanceof Error ? error.message : String(error), load_average } });
    } finally {
      await Promise.all(homes.map(({ remove }) => remove()));
    }
  }
  if (options.length === 0) say(`Wrote ${await writeResults("reliability", "npm run bench:reliability", null, collected.entries)}`);
  return collected.entries.some(({ value, unit }) => unit === "survived" && value !== 1) ? 1 : 0;
}

async function trainerEnvironment(): Promise<string> {
  const python = await ensureVenv(homeFolder());
  await installRequirements(python, homeFolder(), "trainer/requirements-run.txt");
  return python;
}

async function millionLines(): Promise<Finding[]> {
  const { lines, bytes, firstAnswerMs, completeMs, longestPauseMs } = await measureRunOpening(1_000_000);
  const [first, all, pause] = [firstAnswerMs, completeMs, longestPauseMs].map((time) => Math.round(time) / 1000);
  return [{ fault: "million_lines", value: all ?? 0, unit: "s", of: { what: "until every line is read and drawn", lines, bytes, first_curves_s: first ?? 0, longest_pause_s: pause ?? 0 } }];
}

async function faults(): Promise<Map<string, Try>> {
  const [trainer, dashboard, disk, sshd, clock, hangs, two, readers] = await Promise.all([
    import("@/lib/training/faults/trainer-killed"),
    import("@/lib/training/faults/dashboard-killed"),
    import("@/lib/training/faults/full-disk"),
    import("@/lib/training/faults/sshd-killed"),
    import("@/lib/training/faults/clock-skew"),
    import("@/lib/training/faults/node-hangs"),
    import("@/lib/training/faults/two-dashboards"),
    import("@/lib/training/faults/many-readers"),
  ]);
  return new Map<string, Try>([
    ["trainer_killed", ([home], reference) => trainer.trainerKilled(home, reference)],
    ["dashboard_killed", ([home], reference) => dashboard.dashboardKilled(home, reference)],
    ["full_disk", (_, reference) => disk.fullDisk(reference)],
    ["sshd_killed", ([home], reference) => sshd.sshdKilled(home, reference)],
    ["clock_behind", ([home], reference) => clock.clockSkew(home, reference, -2)],
    ["clock_ahead", ([home], reference) => clock.clockSkew(home, reference, 2)],
    ["node_hangs", ([home]) => hangs.nodeHangs(home)],
    ["two_dashboards", (homes, reference) => two.twoDashboards(homes, reference)],
    ["many_readers", ([home]) => readers.manyReaders(home, 200)],
    ["million_lines", millionLines],
  ]);
}
