/** Looks that all Recharts charts share. */
export const axis = {
  stroke: "var(--line-strong)",
  tick: { fontSize: 10, fill: "var(--ink-2)" },
  tickLine: false,
} as const;

export const grid = { stroke: "var(--line)", vertical: false } as const;

/** The label below a horizontal axis. */
export const below = (value: string) => ({ value, position: "insideBottom" as const, offset: -12, fontSize: 10, fill: "var(--ink-3)" });
