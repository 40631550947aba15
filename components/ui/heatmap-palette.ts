/** The colours of the theme that heatmaps are painted with: canvases take numbers, not CSS variables. */
import { type Palette, parseHex } from "./heatmap-colours";

const palette = (surface: string, ink: string, attention: string, mamba: string, negative: string): Palette => ({
  surface: parseHex(surface),
  ink: parseHex(ink),
  attention: parseHex(attention),
  mamba: parseHex(mamba),
  negative: parseHex(negative),
});

/** The tokens `--surface`, `--ink`, `--attention` and `--mamba` of app/globals.css, and violet for negative values. */
export const palettes: { readonly light: Palette; readonly dark: Palette } = {
  light: palette("#ffffff", "#1a1a18", "#3f6ad8", "#c8691c", "#7d55c7"),
  dark: palette("#191918", "#eeeeec", "#7396f5", "#e8944a", "#a98bf0"),
};
