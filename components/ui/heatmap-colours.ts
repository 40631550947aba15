/** Colour scales of heatmaps: ramps interpolated in OKLab, so that equal steps look equal, and how values are spread over them. */

export type Rgb = readonly [red: number, green: number, blue: number];
export type Spread = "linear" | "sqrt" | "log";
/** Decades below the maximum that the log spread shows. */
export const LOG_DECADES = 4;
/** Odd, so that a diverging scale has a colour for exactly 0. */
const LEVELS = 511;

/** Colours that the scales are made of: the theme's surface, text and mixers, and a colour for negative values. */
export type Palette = { readonly surface: Rgb; readonly ink: Rgb; readonly attention: Rgb; readonly mamba: Rgb; readonly negative: Rgb };

/** `#rrggbb` as numbers 0..255. */
export function parseHex(text: string): Rgb {
  const number = Number.parseInt(text.trim().replace("#", ""), 16);
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

const toLinear = (channel: number): number => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4);
const fromLinear = (channel: number): number => (channel <= 0.0031308 ? 12.92 * channel : 1.055 * channel ** (1 / 2.4) - 0.055);

/** OKLab of an sRGB colour: lightness 0..1, a, b (Ottosson 2020). */
export function toOklab([red, green, blue]: Rgb): [number, number, number] {
  const [r, g, b] = [toLinear(red / 255), toLinear(green / 255), toLinear(blue / 255)];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromOklab(L: number, a: number, b: number): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const channel = (linear: number): number => Math.round(255 * fromLinear(Math.min(1, Math.max(0, linear))));
  return [
    channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    channel(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** The colour at `share` of the way from one to another. */
export function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const one = toOklab(from);
  const two = toOklab(to);
  const at = (index: 0 | 1 | 2): number => one[index] + (two[index] - one[index]) * share;
  return fromOklab(at(0), at(1), at(2));
}

/** Colours at equal steps along the stops. */
function ramp(stops: readonly Rgb[], levels: number): Rgb[] {
  return Array.from({ length: levels }, (_, level) => {
    const along = (level / (levels - 1)) * (stops.length - 1);
    const segment = Math.min(stops.length - 2, Math.floor(along));
    return mix(stops[segment] as Rgb, stops[segment + 1] as Rgb, along - segment);
  });
}

/** Positive values: from the surface over the colour of attention towards the text's. Lightness changes one way only. */
export function sequentialScale({ surface, attention, ink }: Palette): Rgb[] {
  return ramp([surface, attention, mix(attention, ink, 0.75)], LEVELS);
}

/** Signed values: the surface at 0, violet below and copper above, a pair that colour-blind readers tell apart. */
export function divergingScale({ surface, mamba, negative, ink }: Palette): Rgb[] {
  return ramp([mix(negative, ink, 0.6), negative, surface, mamba, mix(mamba, ink, 0.6)], LEVELS);
}

/** Where a magnitude from 0 to 1 stands on a scale, 0..1. Monotone; 0 stays 0 and 1 stays 1. */
export function spread(share: number, kind: Spread): number {
  if (kind === "linear") return share;
  if (kind === "sqrt") return Math.sqrt(share);
  return share <= 0 ? 0 : Math.max(0, 1 + Math.log10(share) / LOG_DECADES);
}

/** The inverse of {@link spread}: the magnitude at a place of the scale; the log scale's 0 stands for all that is smaller. */
export function unspread(place: number, kind: Spread): number {
  if (kind === "linear") return place;
  if (kind === "sqrt") return place * place;
  return 10 ** ((place - 1) * LOG_DECADES);
}

/** Packs colours as opaque pixels of an ImageData on a little-endian machine. */
export function packColours(colours: readonly Rgb[]): Uint32Array {
  return Uint32Array.from(colours, ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
}

export const cssColour = ([red, green, blue]: Rgb): string => `rgb(${red} ${green} ${blue})`;
