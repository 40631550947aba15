/** Lists of layers as text: `0-4, 8, 11`. */

/** Runs of three or more as a range. */
export function formatLayers(layers: readonly number[]): string {
  const sorted = [...new Set(layers)].sort((one, other) => one - other);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length; ) {
    let end = start;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    if (end - start >= 2) parts.push(`${sorted[start]}-${sorted[end]}`);
    else parts.push(...sorted.slice(start, end + 1).map(String));
    start = end + 1;
  }
  return parts.join(", ");
}

/** Null if the text is no list of layers. Layers come sorted, each once. */
export function parseLayers(text: string): number[] | null {
  const layers = new Set<number>();
  for (const part of text.split(/[\s,;]+/).filter((one) => one !== "")) {
    const [, first, last] = /^(\d{1,3})(?:[-–](\d{1,3}))?$/.exec(part) ?? [];
    if (first === undefined) return null;
    const [from, to] = [Number(first), Number(last ?? first)];
    if (to < from) return null;
    for (let layer = from; layer <= to; layer += 1) layers.add(layer);
  }
  return [...layers].sort((one, other) => one - other);
}
