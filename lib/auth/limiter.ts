/**
 * How often a password may be tried. Failures of an address, and of all addresses together, are free at first; then each doubles the wait
 * before the next try. An address that has signed in before does not wait for the failures of others.
 */

/** Times in milliseconds. */
export type LimiterRule = { free: number; firstWait: number; longestWait: number; forgetAfter: number };
type Tries = { failures: number; openFrom: number; last: number };

export const addressRule: LimiterRule = { free: 4, firstWait: 1_000, longestWait: 15 * 60_000, forgetAfter: 60 * 60_000 };
export const commonRule: LimiterRule = { free: 20, firstWait: 1_000, longestWait: 60_000, forgetAfter: 15 * 60_000 };

const remembered = 10_000;

export class LoginLimiter {
  private readonly addresses = new Map<string, Tries>();
  private readonly welcome = new Set<string>();
  private common: Tries = { failures: 0, openFrom: 0, last: 0 };

  /** `now`: the time in milliseconds, from a clock that does not go back. */
  constructor(
    private readonly now: () => number,
    private readonly perAddress: LimiterRule = addressRule,
    private readonly together: LimiterRule = commonRule,
  ) {}

  /** Asks for one try. 0: go on, and the try counts as failed until `succeeded`; else the milliseconds to wait, and nothing was counted. */
  request(address: string): number {
    const now = this.now();
    const key = networkOf(address);
    const own = fresh(this.addresses.get(key), now, this.perAddress);
    this.common = fresh(this.common, now, this.together);
    const openFrom = this.welcome.has(key) ? own.openFrom : Math.max(own.openFrom, this.common.openFrom);
    if (openFrom > now) return openFrom - now;
    this.addresses.delete(key);
    this.addresses.set(key, failed(own, now, this.perAddress));
    this.common = failed(this.common, now, this.together);
    if (this.addresses.size > remembered) for (const oldest of this.addresses.keys()) {
      this.addresses.delete(oldest);
      break;
    }
    return 0;
  }

  /** The try that was let through had the right password. */
  succeeded(address: string): void {
    const key = networkOf(address);
    this.addresses.delete(key);
    this.common = { ...this.common, failures: Math.max(0, this.common.failures - 1) };
    this.welcome.delete(key);
    this.welcome.add(key);
    if (this.welcome.size > remembered) for (const oldest of this.welcome) {
      this.welcome.delete(oldest);
      break;
    }
  }

  /** How many addresses are kept. */
  get size(): number {
    return this.addresses.size + this.welcome.size;
  }
}

function fresh(tries: Tries | undefined, now: number, rule: LimiterRule): Tries {
  return tries && now - tries.last <= rule.forgetAfter ? tries : { failures: 0, openFrom: 0, last: now };
}

function failed(tries: Tries, now: number, rule: LimiterRule): Tries {
  const failures = tries.failures + 1;
  const doublings = failures - rule.free;
  // 2^30 times the first wait is beyond any longest one.
  const wait = doublings < 0 ? 0 : Math.min(rule.longestWait, rule.firstWait * 2 ** Math.min(doublings, 30));
  return { failures, openFrom: now + wait, last: now };
}

/** One holder of an IPv6 network has all its 2^64 addresses: they count as one. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.toLowerCase().split("%")[0]?.split("::") ?? [];
  const before = head.split(":").filter(Boolean);
  const after = tail.split(":").filter(Boolean);
  const groups = [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0"), ...after];
  return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}
