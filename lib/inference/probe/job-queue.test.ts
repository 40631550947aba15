import fc from "fast-check";
import { expect, it } from "vitest";
import { turn } from "../turn";
import { JobQueue } from "./job-queue";

const never = new AbortController().signal;

/** A job of `steps` steps that writes `name` at each, and what ends when it does. */
function job(queue: JobQueue, log: string[], name: string, priority: number, steps: number, signal = never): Promise<void> {
  return new Promise((resolve) => {
    queue.add({
      priority,
      signal,
      run: async (checkpoint) => {
        try {
          for (let step = 0; step < steps; step++) {
            await checkpoint();
            log.push(name);
          }
        } catch (error) {
          log.push(`${name}: ${(error as Error).message}`);
        }
        resolve();
      },
    });
  });
}

it("runs a more urgent job inside a less urgent one, which goes on where it stood", async () => {
  const [queue, log] = [new JobQueue(), [] as string[]];
  const sweep = job(queue, log, "sweep", 2, 4);
  while (log.length < 2) await turn();
  await Promise.all([job(queue, log, "bars", 1, 1), job(queue, log, "toggle", 0, 2), job(queue, log, "other sweep", 2, 1), sweep]);
  const other = log.indexOf("other sweep");
  expect(log.filter((name) => name !== "sweep")).toEqual(["toggle", "toggle", "bars", "other sweep"]);
  expect(log.lastIndexOf("sweep")).toBeGreaterThan(log.indexOf("bars"));
  expect(other).toBeGreaterThan(log.lastIndexOf("sweep"));
});

it("stops a cancelled job at its next checkpoint, also while it steps aside", async () => {
  const [queue, log, canceller] = [new JobQueue(), [] as string[], new AbortController()];
  const sweep = job(queue, log, "sweep", 1, 100, canceller.signal);
  while (log.length < 1) await turn();
  const toggle = job(queue, log, "toggle", 0, 3);
  canceller.abort(new Error("stopped"));
  await Promise.all([sweep, toggle]);
  expect(log).toContain("sweep: stopped");
  expect(log.filter((name) => name === "sweep").length).toBeLessThan(5);
  expect(log.filter((name) => name === "toggle").length).toBe(3);
});

it("runs every step of every job, whatever they are, and never two of one priority at once", async () => {
  const jobs = fc.array(fc.record({ priority: fc.nat(2), steps: fc.nat(4) }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(jobs, async (all) => {
      const [queue, log] = [new JobQueue(), [] as string[]];
      await Promise.all(all.map(({ priority, steps }, index) => job(queue, log, `${priority}.${index}`, priority, steps)));
      all.forEach(({ priority, steps }, index) => expect(log.filter((name) => name === `${priority}.${index}`).length).toBe(steps));
      for (const priority of [0, 1, 2]) {
        const own = log.filter((name) => name.startsWith(`${priority}.`));
        expect(own).toEqual([...own].sort((a, b) => Number(a.slice(2)) - Number(b.slice(2))));
      }
    }),
    { numRuns: 30 },
  );
});
