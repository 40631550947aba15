import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { batch } from "./batch";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("shows together what came within the time, and what comes later together too", () => {
  const shown: number[][] = [];
  let every = 200;
  const gathered = batch<number>((items) => shown.push([...items]), () => every);
  gathered.add(1);
  vi.advanceTimersByTime(199);
  gathered.add(2);
  expect(shown).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(shown).toEqual([[1, 2]]);
  every = 16;
  gathered.add(3);
  vi.advanceTimersByTime(16);
  expect(shown).toEqual([[1, 2], [3]]);
});

it("shows at once on a flush, and nothing twice", () => {
  const shown: number[][] = [];
  const gathered = batch<number>((items) => shown.push([...items]), () => 200);
  gathered.flush();
  gathered.add(1);
  gathered.flush();
  vi.advanceTimersByTime(150);
  gathered.add(2);
  vi.advanceTimersByTime(100); // the flushed timer is gone: the second waits its own time
  expect(shown).toEqual([[1]]);
  vi.advanceTimersByTime(100);
  expect(shown).toEqual([[1], [2]]);
});
