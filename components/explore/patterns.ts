/** What can be done with a layer pattern: paint, keep some layers, compare with what ships. A pattern is one layer spec a layer. */
import { isAttentionLayer } from "@/lib/hybrid/config";
import type { Manifest } from "@/lib/weights/manifest";

export type MixerSet = { readonly name: string; readonly layers: readonly number[] };

/** What the explorer must know of a family to edit its patterns. */
export type FamilyShape = {
  readonly family: string;
  readonly layers: number;
  /** Mamba-2 sets, drafts aside; those that hold the most layers first. */
  readonly sets: readonly MixerSet[];
  /** Shipped variants, drafts aside. */
  readonly variants: readonly { readonly name: string; readonly title: string; readonly layers: readonly string[] }[];
};

export type Kind = "attention" | "mamba";

export function shapeOf(manifest: Manifest): FamilyShape {
  const layers = manifest.architecture.num_hidden_layers;
  const sets = Object.entries(manifest.mixer_sets)
    .filter(([, set]) => set.mixer === "mamba2" && !set.draft)
    .map(([name, set]) => ({ name, layers: [...set.layers] }))
    .sort((one, other) => other.layers.length - one.layers.length);
  const names = new Set(["attention", ...sets.map(({ name }) => `mamba2:${name}`)]);
  const variants = Object.entries(manifest.variants)
    .filter(([, variant]) => variant.layers.length === layers && variant.layers.every((layer) => names.has(layer)))
    .map(([name, variant]) => ({ name, title: variant.title, layers: [...variant.layers] }));
  return { family: manifest.family, layers, sets, variants };
}

/** The sets that hold a layer. */
export function setsFor(shape: FamilyShape, layer: number): MixerSet[] {
  return shape.sets.filter((set) => set.layers.includes(layer));
}

/** The spec of a layer's Mamba mixer: from the preferred set if that holds the layer, else from the first that does; attention if none does. */
export function mambaLayer(shape: FamilyShape, layer: number, preferred: string): string {
  const sets = setsFor(shape, layer);
  const set = sets.find(({ name }) => name === preferred) ?? sets[0];
  return set ? `mamba2:${set.name}` : "attention";
}

/** The pattern with the layers from `first` to `last`, in any order, made attention or Mamba. */
export function paint(pattern: readonly string[], shape: FamilyShape, first: number, last: number, kind: Kind, preferred: string): string[] {
  const [from, to] = first < last ? [first, last] : [last, first];
  return pattern.map((spec, layer) => {
    if (layer < from || layer > to) return spec;
    if (kind === "attention") return "attention";
    return isAttentionLayer(spec) ? mambaLayer(shape, layer, preferred) : spec;
  });
}

/** The pattern that keeps attention in the given layers alone. */
export function keepOnly(shape: FamilyShape, kept: Iterable<number>, preferred: string): string[] {
  const attention = new Set(kept);
  return Array.from({ length: shape.layers }, (_, layer) => (attention.has(layer) ? "attention" : mambaLayer(shape, layer, preferred)));
}

/** The pattern with every Mamba layer taken from `set` where that holds the layer. */
export function moveToSet(pattern: readonly string[], shape: FamilyShape, set: string): string[] {
  return pattern.map((spec, layer) => (isAttentionLayer(spec) ? spec : mambaLayer(shape, layer, set)));
}

/** The k layers whose replacement costs most (highest KL), in order of layer; layers without a value are replaced last. */
export function mostSensitive(costs: readonly (number | null)[], k: number): number[] {
  return costs
    .map((cost, layer) => ({ layer, cost: cost ?? Infinity }))
    .sort((one, other) => (one.cost === other.cost ? one.layer - other.layer : other.cost - one.cost))
    .slice(0, k)
    .map(({ layer }) => layer)
    .sort((one, other) => one - other);
}

/** Why a pattern does not fit the family, in words; null if it does. */
export function misfit(pattern: readonly string[], shape: FamilyShape): string | null {
  if (pattern.length !== shape.layers) return `it has ${pattern.length} layers, and the model ${shape.layers}`;
  for (const [layer, spec] of pattern.entries()) {
    if (spec === "attention" || setsFor(shape, layer).some(({ name }) => spec === `mamba2:${name}`)) continue;
    return `no mixer set of this family gives layer ${layer} as "${spec}"`;
  }
  return null;
}

export function samePattern(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((spec, layer) => spec === other[layer]);
}

/** The shipped variants that have exactly this pattern; some families ship one pattern under two names. */
export function matchingVariants(pattern: readonly string[], shape: FamilyShape): FamilyShape["variants"] {
  return shape.variants.filter(({ layers }) => samePattern(layers, pattern));
}

/** A short name: the variant's title if it is one, else how much attention is kept. */
export function namePattern(pattern: readonly string[], shape: FamilyShape): string {
  const variant = matchingVariants(pattern, shape)[0];
  return variant?.title ?? `${pattern.filter(isAttentionLayer).length} of ${pattern.length} attention`;
}

/** What the page opens on: half attention as shipped, else the first shipped hybrid, else the teacher. */
export function startingPattern(shape: FamilyShape): string[] {
  const hybrids = shape.variants.filter(({ layers }) => !layers.every(isAttentionLayer));
  const found = hybrids.find(({ name }) => name === "attn50") ?? hybrids[0];
  return found ? [...found.layers] : Array.from({ length: shape.layers }, () => "attention");
}
