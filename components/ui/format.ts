/** Numbers as the pages show them. */

const units = ["B", "kB", "MB", "GB"] as const;

/** Bytes in decimal units with three significant digits, such as `15.3 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${formatNumber(value)} ${units[unit]}`;
}

/** Three significant digits without exponent, such as `0.532`, `48.1`, `1204`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

/** Milliseconds as `85 ms` or `1.24 s`. */
export function formatDuration(milliseconds: number): string {
  return milliseconds < 999.5 ? `${Math.round(milliseconds)} ms` : `${formatNumber(milliseconds / 1000)} s`;
}

/** Counts with thin spaces between thousands, such as `49 152`. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}
