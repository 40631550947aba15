import { expect, it } from "vitest";
import { Pacer } from "./pacer";

it("waits for steps, changes of pace and the end", async () => {
  const canceller = new AbortController();
  const pacer = new Pacer({ mode: "step" }, canceller.signal);
  const passed: number[] = [];
  const cycles = (async () => {
    for (let cycle = 1; cycle <= 6; cycle++) {
      await pacer.gate();
      passed.push(cycle);
    }
  })();
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  await settle();
  expect(passed).toEqual([]);
  pacer.next();
  await settle();
  expect(passed).toEqual([1]);
  pacer.next();
  pacer.next();
  await settle();
  expect(passed).toEqual([1, 2, 3]);
  pacer.change({ mode: "slow", delayMs: 0 });
  await cycles;
  expect(passed).toEqual([1, 2, 3, 4, 5, 6]);
  pacer.change({ mode: "step" });
  const waiting = pacer.gate();
  canceller.abort();
  await waiting;
});
