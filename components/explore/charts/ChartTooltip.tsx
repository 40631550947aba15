type TooltipRow = { label: string; value: string; colour?: string };

/** The box beside the pointer: what is meant, and its numbers. */
export function ChartTooltip({ title, rows }: { title: string; rows: readonly TooltipRow[] }) {
  return (
    <div className="tabular max-w-60 rounded-md border border-line bg-surface px-2.5 py-1.5 text-2xs shadow-lg">
      <p className="font-medium text-ink">{title}</p>
      {rows.map(({ label, value, colour }) => (
        <p key={label} className="flex items-center gap-1.5 text-ink-2">
          {colour && <span aria-hidden className="size-2 rounded-full" style={{ background: colour }} />}
          <span>{label}</span>
          <span className="ml-auto pl-3 text-ink">{value}</span>
        </p>
      ))}
    </div>
  );
}
