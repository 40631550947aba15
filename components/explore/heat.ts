/** Colours of tokens: one hue that grows stronger (sequential), or two hues around none (difference). Both stay readable under ink and without colour vision. */

/** The value at which the scale is full: the 98th percentile, so that one outlier does not wash out the rest; at least `least`. */
export function scaleTop(values: ArrayLike<number>, least = 0.05): number {
  const sorted = Float64Array.from(values, Math.abs).filter(Number.isFinite).sort();
  const at = sorted[Math.min(sorted.length - 1, Math.floor(0.98 * sorted.length))] ?? 0;
  return Math.max(least, at);
}

/** Strength of a colour, 0..1: a square root, since most positions cost little. */
export function strength(value: number, top: number): number {
  if (!Number.isFinite(value) || top <= 0) return 0;
  return Math.sqrt(Math.min(1, Math.abs(value) / top));
}

/** The value that has a strength: the inverse of {@link strength} within the scale. */
export function valueAt(share: number, top: number): number {
  return share * share * top;
}

/** CSS colour of a value; negative ones take the second hue. Needs `--heat` and `--heat-less` on an element around it. */
export function heatColor(value: number, top: number): string {
  const percent = Math.round(100 * strength(value, top));
  return percent === 0 ? "transparent" : `color-mix(in oklab, var(${value < 0 ? "--heat-less" : "--heat"}) ${percent}%, transparent)`;
}
