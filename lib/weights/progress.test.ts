import { expect, it } from "vitest";
import { type LoadProgress, ProgressMeter } from "./progress";

it("adds up files, measures the recent rate and goes back when a file begins again", () => {
  const sha256 = "0".repeat(64);
  const seen: LoadProgress[] = [];
  let now = 0;
  const meter = new ProgressMeter(
    [{ name: "a", bytes: 1000, sha256 }, { name: "b", bytes: 500, sha256 }],
    (progress) => seen.push(progress),
    () => now,
  );
  meter.cached("b");
  expect(seen.at(-1)).toEqual({ loaded: 500, total: 1500, cached: 500, bytesPerSecond: 0, file: "b" });
  now = 1000;
  meter.received("a", 100);
  now = 2000;
  meter.received("a", 300);
  expect(seen.at(-1)).toMatchObject({ loaded: 800, bytesPerSecond: 200, file: "a" });
  now = 10_000;
  meter.received("a", 350);
  now = 11_000;
  meter.received("a", 450);
  expect(seen.at(-1)?.bytesPerSecond).toBeCloseTo((450 - 300) / 9);
  meter.received("a", 460);
  expect(seen.at(-1)?.loaded).toBe(950);
  now = 12_000;
  meter.received("a", 0);
  expect(seen.at(-1)).toMatchObject({ loaded: 500, bytesPerSecond: 0 });
  meter.received("a", 1000);
  expect(seen.at(-1)?.loaded).toBe(1500);
});
