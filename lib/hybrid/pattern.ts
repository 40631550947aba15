import { formatLayerSpec, type HybridConfig, isAttentionLayer, type LayerSpec, parseLayerSpec } from "./config";

const LETTERS = { attention: "a", mamba2: "m", mamba: "s" } as const;
const MIXERS = { a: "attention", m: "mamba2", s: "mamba" } as const;
/** More layers than any model here has; bounds what a URL can make the parser build. */
const MAX_LAYERS = 512;

/** A pattern that cannot be read. `position` counts characters from 0. */
export class PatternError extends Error {
  override readonly name = "PatternError";
  readonly code = "pattern-invalid";
  readonly action = 'Write runs joined by ".", for example "a.m~attn50.a2.m2~aligned".';
  constructor(
    readonly text: string,
    readonly position: number,
    readonly expected: string,
  ) {
    const found = position < text.length ? `"${text[position]}"` : "the end";
    super(`Layer pattern "${text}", position ${position}: expected ${expected}, found ${found}.`);
  }
}

/**
 * Reads a pattern in text form: runs joined by `.`, each `a` (attention), `m` (mamba2) or `s` (mamba), then a count if
 * not 1, then `~<set>` unless it is the base's attention. Returns one layer spec a layer. Throws {@link PatternError} on text that is not
 * a pattern, or on another number of layers than `layers`, where given.
 */
export function parsePattern(text: string, layers?: number): string[] {
  const specs: string[] = [];
  let position = 0;
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0] ?? "";
    position += found.length;
    return found;
  };
  for (;;) {
    const letter = take(/[ams]/y);
    if (letter === "") throw new PatternError(text, position, '"a", "m" or "s"');
    const mixer = MIXERS[letter as keyof typeof MIXERS];
    const countAt = position;
    const digits = take(/[0-9]+/y);
    const count = digits === "" ? 1 : Number(digits);
    if (digits.startsWith("0") || specs.length + count > MAX_LAYERS) {
      throw new PatternError(text, countAt, `a count from 1, and at most ${MAX_LAYERS} layers in all`);
    }
    let spec: LayerSpec = { mixer: "attention", set: null };
    const tilde = take(/~/y);
    if (tilde === "" && mixer !== "attention") throw new PatternError(text, position, '"~" and the name of a mixer set');
    if (tilde !== "") {
      const set = take(/[A-Za-z0-9][A-Za-z0-9_-]*/y);
      if (set === "") throw new PatternError(text, position, "the name of a mixer set (letters, digits, - and _)");
      spec = { mixer, set };
    }
    specs.push(...new Array<string>(count).fill(formatLayerSpec(spec)));
    if (position === text.length) break;
    if (take(/\./y) === "") throw new PatternError(text, position, '"." or the end');
  }
  if (layers !== undefined && specs.length !== layers) {
    throw new PatternError(text, text.length, `${layers} layers in all (the pattern has ${specs.length})`);
  }
  return specs;
}

/** The canonical text form of layer specs: the longest runs, counts of 1 left out. */
export function formatPattern(layers: HybridConfig["layers"]): string {
  const runs: { spec: LayerSpec; text: string; count: number }[] = [];
  for (const text of layers) {
    const last = runs.at(-1);
    if (last?.text === text) last.count += 1;
    else runs.push({ spec: parseLayerSpec(text), text, count: 1 });
  }
  return runs
    .map(({ spec, count }) => {
      const set = spec.set === null ? "" : `~${spec.set}`;
      return `${LETTERS[spec.mixer]}${count === 1 ? "" : count}${set}`;
    })
    .join(".");
}

/** The shares of attention layers that presets keep. */
export const KEEP_RATIOS = [1, 0.5, 0.25, 0.125, 0] as const;

/** Which layers keep their attention: spread evenly from layer 0, the first ones, or the last ones. */
export type Placement = "interleaved" | "first" | "last";
export const PLACEMENTS: readonly Placement[] = ["interleaved", "first", "last"];

/**
 * The layers, of `count`, that keep attention: k = round(count · keep), at least 1 if keep > 0. Interleaved keeps layers
 * floor(i · count / k), i = 0 … k-1, so that 50% of 8 keeps 0, 2, 4 and 6.
 */
export function keptLayers(count: number, keep: number, placement: Placement): number[] {
  if (!(keep >= 0 && keep <= 1)) throw new RangeError(`keep must lie in [0, 1], not ${keep}`);
  const kept = keep === 0 ? 0 : Math.max(1, Math.round(count * keep));
  return Array.from({ length: kept }, (_, index) => {
    if (placement === "first") return index;
    if (placement === "last") return count - kept + index;
    return Math.floor((index * count) / kept);
  });
}

/** Layer specs that keep a share of the attention layers and take all others from a mamba2 set. */
export function presetLayers(count: number, keep: number, placement: Placement, set: string): string[] {
  const kept = new Set(keptLayers(count, keep, placement));
  return Array.from({ length: count }, (_, layer) =>
    formatLayerSpec(kept.has(layer) ? { mixer: "attention", set: null } : { mixer: "mamba2", set }),
  );
}

/** The share of layers that are attention, from 0 to 1. */
export function attentionShare(layers: HybridConfig["layers"]): number {
  return layers.filter(isAttentionLayer).length / layers.length;
}
