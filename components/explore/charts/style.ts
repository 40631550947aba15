/** Looks that all Recharts charts share. */
export const axis = {
  stroke: "var(--line-strong)",
  tick: { fontSize: 10, fill: "var(--ink-2)" },
  tickLine: false,
} as const;

export const grid = { stroke: "var(--line)", vertical: false } as const;

/** Ticks of a log axis that cover [low, high]: powers of ten, or 1, 2 and 5 times them where those are few. */
export function logTicks(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, index) => 10 ** (from + index));
  const all = decades.length > 3 ? decades : decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]);
  const first = all.findLastIndex((tick) => tick <= low);
  const last = all.findIndex((tick) => tick >= high);
  return all.slice(Math.max(0, first), last === -1 ? undefined : last + 1);
}

/** A number on an axis, without needless zeros. */
export const axisNumber = (value: number): string => String(Number(value.toPrecision(3))).replace("-", "−");

/** The label below a horizontal axis. */
export const below = (value: string) => ({ value, position: "insideBottom" as const, offset: -8, fontSize: 10, fill: "var(--ink-3)" });
