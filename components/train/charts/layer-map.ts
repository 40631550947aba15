/** A map of layers against steps: which colours stand where. Pure. */
import { type Spread, spread } from "@/components/ui/heatmap-colours";
import { nearest, type Range } from "../series";

export type LayerRow = { readonly layer: number; readonly places: readonly number[]; readonly values: readonly number[] };

/** The greatest value of all rows within a range; 0 if there is none. */
export function greatestOf(rows: readonly LayerRow[], [from, to]: Range): number {
  let most = 0;
  for (const { places, values } of rows) {
    places.forEach((place, index) => {
      const value = values[index] as number;
      if (place >= from && place <= to && value > most) most = value;
    });
  }
  return most;
}

/** Fills `pixels` (width x one row a layer): each pixel has the colour of the entry that is nearest to its middle. Before the first and after the last entry it stays transparent. */
export function paintLayers(pixels: Uint32Array, width: number, rows: readonly LayerRow[], [from, to]: Range, maximum: number, colours: Uint32Array, kind: Spread): void {
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
        const share = maximum > 0 ? Math.min(1, Math.max(0, value / maximum)) : 0;
        colour = Number.isFinite(value) ? (colours[Math.round(spread(share, kind) * top)] as number) : 0;
        painted = index;
      }
      pixels[line * width + x] = colour;
    }
  });
}
