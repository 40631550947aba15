/** A map of layers against steps: which colours stand where. Pure. */
import { nearest, type Range } from "../series";

export type LayerRow = { readonly layer: number; readonly places: readonly number[]; readonly values: readonly number[] };

/** Values at the ends of the colours, and whether the colours between them are spread by logarithm. */
export type ColourScale = { readonly low: number; readonly high: number; readonly log: boolean };

/** Colours from the least to the greatest value in sight: differences show however close the values are. By logarithm only positive values count; linear ones begin at 0. */
export function scaleFor(rows: readonly LayerRow[], [from, to]: Range, log: boolean): ColourScale {
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  for (const { places, values } of rows) {
    places.forEach((place, index) => {
      const value = values[index] as number;
      if (place < from || place > to || !(value > 0)) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    });
  }
  if (high === 0) return { low: 0, high: 1, log: false };
  return log ? { low: low === high ? high / 2 : low, high, log } : { low: 0, high, log };
}

/** Where a value stands between the ends, 0..1. */
export function shareOf(value: number, { low, high, log }: ColourScale): number {
  const share = log ? (value <= low ? 0 : Math.log(value / low) / Math.log(high / low)) : (value - low) / (high - low);
  return Math.min(1, Math.max(0, share));
}

/** The inverse of {@link shareOf} between the ends. */
export function valueAt(share: number, { low, high, log }: ColourScale): number {
  return log ? low * (high / low) ** share : low + share * (high - low);
}

/** Fills `pixels` (width x one row a layer): each pixel has the colour of the entry that is nearest to its middle. Before the first and after the last entry it stays transparent. */
export function paintLayers(pixels: Uint32Array, width: number, rows: readonly LayerRow[], [from, to]: Range, scale: ColourScale, colours: Uint32Array): void {
  const top = colours.length - 1;
  rows.forEach(({ places, values }, line) => {
    const [first, last] = [places[0] ?? Number.POSITIVE_INFINITY, places.at(-1) ?? Number.NEGATIVE_INFINITY];
    const reach = (to - from) / width;
    let painted = -1;
    let colour = 0;
    for (let x = 0; x < width; x++) {
      const place = from + ((x + 0.5) / width) * (to - from);
      if (place < first - reach || place > last + reach) continue;
      const index = nearest(places, place);
      if (index !== painted) {
        const value = values[index] as number;
        colour = Number.isFinite(value) ? (colours[Math.round(shareOf(value, scale) * top)] as number) : 0;
        painted = index;
      }
      pixels[line * width + x] = colour;
    }
  });
}
