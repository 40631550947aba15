/** A bar of `done` of `total`; it sweeps while the total is not known. */
export function ProgressBar({ label, done, total }: { label: string; done: number; total: number }) {
  const known = total > 0;
  const percent = known ? Math.min(100, (100 * done) / total) : undefined;
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent === undefined ? undefined : Math.round(percent)}
      className="h-1 overflow-hidden rounded-full bg-line"
    >
      {known ? (
        <div className="h-full rounded-full bg-accent transition-[width] duration-150" style={{ width: `${percent}%` }} />
      ) : (
        <div className="h-full w-1/3 animate-[sweep_1.4s_linear_infinite] rounded-full bg-accent" />
      )}
    </div>
  );
}
