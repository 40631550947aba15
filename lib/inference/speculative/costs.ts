/** What drafting and passes take, as measured while they run. */

/** Weight of the newest observation in a running mean. */
const MEMORY = 0.1;
/** For how many observations a pass's first one counts. */
const MEASURED = 4;

type Entry = { usual: number; seen: number };

/** Times by count, in milliseconds on the machine at its usual speed. */
class Table {
  private readonly entries = new Map<number, Entry>();

  entry(count: number): Entry | undefined {
    return this.entries.get(count);
  }

  set(count: number, usual: number, seen: number): void {
    this.entries.set(count, { usual, seen });
  }

  clear(): void {
    this.entries.clear();
  }

  /** As measured, or between (or beyond) measured neighbours on a line; null before any measurement. */
  at(count: number): number | null {
    const known = this.entries.get(count);
    if (known) return known.usual;
    const counts = [...this.entries.keys()].sort((a, b) => a - b);
    if (counts.length === 0) return null;
    const above = counts.findIndex((other) => other > count);
    const high = above < 0 ? counts.length - 1 : Math.max(above, 1);
    const [right, left] = [counts[Math.min(high, counts.length - 1)]!, counts[Math.max(high - 1, 0)]!];
    const [a, b] = [this.entries.get(left)!.usual, this.entries.get(right)!.usual];
    return left === right ? a : Math.max(a + ((b - a) * (count - left)) / (right - left), Math.min(a, b));
  }
}

/**
 * Running means of what things take, in milliseconds: kept from one run to the next. What slows the machine slows everything, so each
 * observation moves a common factor, and its own entry only a little: entries that are not used do not go stale. A young entry, which may have
 * begun with an outlier, moves as the mean of what was seen of it; a pass begins with the fastest of several.
 */
export class Costs {
  private readonly passes = new Table();
  private readonly drafts = new Table();
  private readonly others = new Table();
  /** By how much the machine is slower than when it was first measured. */
  slowness = 1;

  observeVerify(tokens: number, milliseconds: number): void {
    this.observe(this.passes, tokens, milliseconds, MEASURED);
  }

  /** Of `count` drafts in a row. */
  observeDrafts(count: number, milliseconds: number): void {
    if (count > 0) this.observe(this.drafts, count, milliseconds);
  }

  /** Of a cycle, beside drafts and pass. */
  observeOther(milliseconds: number): void {
    this.observe(this.others, 1, milliseconds);
  }

  forgetDrafts(): void {
    this.drafts.clear();
  }

  /** Of a pass over `tokens` tokens. */
  pass(tokens: number): number {
    return this.slowness * (this.passes.at(tokens) ?? 1);
  }

  /** Of `count` drafts: from one entry to others in proportion. */
  drafting(count: number): number {
    if (count === 0) return 0;
    const [one, some] = [this.drafts.at(1), this.drafts.at(count)];
    return this.slowness * (one !== null && some !== null && one === some ? one * count : (some ?? 0));
  }

  get other(): number {
    return this.slowness * (this.others.at(1) ?? 0);
  }

  /** An outlier counts as one of a factor three. */
  private observe(table: Table, count: number, milliseconds: number, first = 1): void {
    const entry = table.entry(count);
    if (!entry) return table.set(count, milliseconds / this.slowness, first);
    if (entry.usual <= 0 || milliseconds <= 0) return;
    const ratio = Math.min(3, Math.max(1 / 3, milliseconds / (entry.usual * this.slowness)));
    const own = Math.max(1 / ++entry.seen, MEMORY / 2);
    entry.usual *= ratio ** own;
    this.slowness *= ratio ** (2 * MEMORY * (1 - own));
  }
}
