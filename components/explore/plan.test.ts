import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isObsolete, jobNames, nextJob, noKeys, type Keys } from "./plan";

const wanted: Keys = { text: "t", a: "a", b: "b", inside: "i", distances: "d", sweep: "s" };

describe("the order of computations", () => {
  it("reads the text first, then what the visitor waits for, and sweeps last", () => {
    let done = noKeys;
    const order: string[] = [];
    for (let job = nextJob(wanted, done, noKeys); job; job = nextJob(wanted, done, noKeys)) {
      order.push(job);
      done = { ...done, [job]: wanted[job] };
    }
    expect(order).toEqual(["text", "a", "b", "inside", "distances", "sweep"]);
  });

  it("computes nothing on a text that was not read, and nothing again that failed", () => {
    expect(nextJob(wanted, noKeys, { ...noKeys, text: "t" })).toBeNull();
    expect(nextJob(wanted, { ...noKeys, text: "t" }, { ...noKeys, a: "a" })).toBe("b");
    expect(nextJob({ ...wanted, a: "a2" }, { ...noKeys, text: "t" }, { ...noKeys, a: "a" })).toBe("a");
  });

  it("stops what is not wanted any more, and lets a sweep run beside a comparison but not beside a new text", () => {
    const read = { ...noKeys, text: "t" };
    expect(isObsolete("a", "a", wanted, read, noKeys)).toBe(false);
    expect(isObsolete("a", "old", wanted, read, noKeys)).toBe(true);
    expect(isObsolete("distances", "d", wanted, read, noKeys)).toBe(true);
    expect(isObsolete("sweep", "s", wanted, read, noKeys)).toBe(false);
    expect(isObsolete("sweep", "s", { ...wanted, text: "t2" }, read, noKeys)).toBe(true);
  });

  it("never stops the job that it would start next: no two take turns for ever", () => {
    const key = fc.option(fc.constantFrom("x", "y"), { nil: null });
    const keys: fc.Arbitrary<Keys> = fc.record({ text: key, a: key, b: key, inside: key, distances: key, sweep: key });
    fc.assert(
      fc.property(keys, keys, keys, (want, done, refused) => {
        const job = nextJob(want, done, refused);
        if (job) expect(isObsolete(job, want[job] ?? "", want, done, refused)).toBe(false);
        for (const other of jobNames) if (job && other !== job && other !== "sweep" && jobNames.indexOf(other) > jobNames.indexOf(job)) expect(isObsolete(other, want[other] ?? "", want, done, refused)).toBe(true);
      }),
    );
  });
});
