import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressRule, commonRule, LoginLimiter, networkOf, type LimiterRule } from "./limiter";

/** The most tries a rule lets through in a time without pauses long enough to forget: the free ones, then one a wait. */
function mostTries(rule: LimiterRule, time: number): number {
  let [tries, at, wait] = [rule.free, 0, rule.firstWait];
  while (at <= time) {
    tries += 1;
    at += wait;
    wait = Math.min(rule.longestWait, wait * 2);
  }
  return tries;
}

const visits = fc.array(fc.record({ pause: fc.integer({ min: 0, max: 20_000 }), address: fc.integer({ min: 0, max: 30 }) }), { minLength: 1, maxLength: 400 });

/** A common rule that never waits, to see an address's own. */
const alone: LimiterRule = { ...commonRule, free: 1_000 };

/** Fails until the address has to wait; returns how long. */
function nextWait(limiter: LoginLimiter): number {
  for (;;) {
    const wait = limiter.request("a");
    if (wait > 0) return wait;
  }
}

describe("LoginLimiter", () => {
  it("lets no more tries through than its rules, whoever asks and whenever", () => {
    fc.assert(
      fc.property(visits, (list) => {
        let now = 0;
        const limiter = new LoginLimiter(() => now);
        const passed = new Map<number, number>();
        let all = 0;
        for (const { pause, address } of list) {
          now += pause;
          if (limiter.request(`10.0.0.${address}`) > 0) continue;
          passed.set(address, (passed.get(address) ?? 0) + 1);
          all += 1;
        }
        expect(all).toBeLessThanOrEqual(mostTries(commonRule, now));
        for (const count of passed.values()) expect(count).toBeLessThanOrEqual(mostTries(addressRule, now));
      }),
    );
  });

  it("the wait that it names is the wait that it keeps, and asking meanwhile does not lengthen it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 15 }), fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 10 }), (waits, moments) => {
        let now = 0;
        const limiter = new LoginLimiter(() => now, addressRule, alone);
        for (let k = 0; k < waits; k += 1) now += nextWait(limiter);
        const [wait, from] = [nextWait(limiter), now];
        for (const part of moments.sort((a, b) => a - b)) {
          now = from + Math.floor(wait * part);
          expect(limiter.request("a")).toBe(wait - (now - from));
        }
        now = from + wait;
        expect(limiter.request("a")).toBe(0);
      }),
    );
  });

  it("waits double up to the longest", () => {
    let now = 0;
    const limiter = new LoginLimiter(() => now, addressRule, alone);
    for (let k = 0; k < 20; k += 1) {
      const wait = nextWait(limiter);
      expect(wait).toBe(Math.min(addressRule.longestWait, addressRule.firstWait * 2 ** k));
      now += wait;
    }
  });

  it("tries at one moment count before any has an answer", () => {
    const limiter = new LoginLimiter(() => 0);
    const passed = Array.from({ length: 100 }, () => limiter.request("a")).filter((wait) => wait === 0);
    expect(passed).toHaveLength(addressRule.free);
  });

  it("success forgets an address's failures, and lets it in whatever others do", () => {
    let now = 0;
    const limiter = new LoginLimiter(() => now);
    for (let k = 0; k < addressRule.free; k += 1) limiter.request("owner");
    now += limiter.request("owner") + addressRule.firstWait;
    expect(limiter.request("owner")).toBe(0);
    limiter.succeeded("owner");
    for (let k = 0; k < 200; k += 1) limiter.request(`10.1.0.${k}`);
    expect(limiter.request("stranger")).toBeGreaterThan(0);
    expect(limiter.request("owner")).toBe(0);
  });

  it("forgets after a quiet time", () => {
    let now = 0;
    const limiter = new LoginLimiter(() => now);
    for (let k = 0; k < addressRule.free; k += 1) limiter.request("a");
    expect(limiter.request("a")).toBeGreaterThan(0);
    now += addressRule.forgetAfter + 1;
    expect(limiter.request("a")).toBe(0);
    expect(limiter.request("a")).toBe(0);
  });

  it("keeps a bounded number of addresses", () => {
    let now = 0;
    const limiter = new LoginLimiter(() => now, addressRule, { ...commonRule, longestWait: 0 });
    for (let k = 0; k < 25_000; k += 1) {
      now += 1;
      limiter.request(`10.${k >> 16}.${(k >> 8) & 255}.${k & 255}`);
    }
    expect(limiter.size).toBe(10_000);
  });
});

it.each([
  ["10.0.0.1", "10.0.0.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:0DB8:0001:0002::9", "2001:db8:1:2"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["::1", "0:0:0:0"],
])("networkOf(%s) is %s", (address, network) => expect(networkOf(address)).toBe(network));
