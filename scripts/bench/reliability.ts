/**
 * `npm run bench:reliability`: does to real runs what happens to them (lib/training/faults), and writes what came of it. Every faulted run is
 * compared, loss by loss, with one that nothing happened to. Options: the faults to try; only a run of all writes results/reliability.json.
 */
import { clockSkew } from "@/lib/training/faults/clock-skew";
import { dashboardKilled } from "@/lib/training/faults/dashboard-killed";
import { fullDisk } from "@/lib/training/faults/full-disk";
import { faultHome, type Finding, type Losses } from "@/lib/training/faults/lab";
import { manyReaders } from "@/lib/training/faults/many-readers";
import { nodeHangs } from "@/lib/training/faults/node-hangs";
import { sshdKilled } from "@/lib/training/faults/sshd-killed";
import { trainerKilled } from "@/lib/training/faults/trainer-killed";
import { twoDashboards } from "@/lib/training/faults/two-dashboards";
import { wholeRun } from "@/lib/training/faults/whole-run";
import { say } from "../lib/console.mjs";
import { SetupError } from "../lib/run.mjs";
import { Collected, quietLoad, writeResults } from "./results";
import { measureRunOpening } from "./runs";

type Try = (homes: readonly [string, string], reference: Losses | null) => Promise<Finding[] | null>;

const faults: Record<string, Try> = {
  trainer_killed: ([home], reference) => trainerKilled(home, reference),
  dashboard_killed: ([home], reference) => dashboardKilled(home, reference),
  full_disk: (_, reference) => fullDisk(reference),
  sshd_killed: ([home], reference) => sshdKilled(home, reference),
  clock_behind: ([home], reference) => clockSkew(home, reference, -2),
  clock_ahead: ([home], reference) => clockSkew(home, reference, 2),
  node_hangs: ([home]) => nodeHangs(home),
  two_dashboards: (homes, reference) => twoDashboards(homes, reference),
  many_readers: ([home]) => manyReaders(home, 200),
  million_lines: millionLines,
};

export async function main(options: string[]): Promise<number> {
  const unknown = options.find((name) => !(name in faults));
  if (unknown) throw new SetupError("fault", `There is no fault "${unknown}".`, `Name some of: ${Object.keys(faults).join(", ")}.`);

  await quietLoad();
  const collected = new Collected();
  say("── a run without a fault");
  const first = await faultHome();
  const reference = await wholeRun(first.home).finally(() => first.remove());

  for (const [name, attempt] of Object.entries(faults)) {
    if (options.length > 0 && !options.includes(name)) continue;
    say(`── ${name}`);
    const homes = await Promise.all([faultHome(), faultHome()]);
    const load_average = await quietLoad(name === "million_lines" ? 60 : 0);
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

async function millionLines(): Promise<Finding[]> {
  const { lines, bytes, firstAnswerMs, completeMs, longestPauseMs } = await measureRunOpening(1_000_000);
  const [first, all, pause] = [firstAnswerMs, completeMs, longestPauseMs].map((time) => Math.round(time) / 1000);
  return [{ fault: "million_lines", value: all ?? 0, unit: "s", of: { what: "until every line is read and drawn", lines, bytes, first_curves_s: first ?? 0, longest_pause_s: pause ?? 0 } }];
}
