/** Which targets and drafts a family has, and what a choice means in words. */
import type { ListedFamily, ListedVariant } from "@/lib/home/listing";
import type { Option } from "@/components/ui/Field";
import type { DraftChoice } from "@/workers/speculative-protocol";
import { formatDraft, parseDraft } from "./link";
import type { Settings } from "./settings";

export const targetsOf = (family: ListedFamily): ListedVariant[] => family.variants.filter(({ draft }) => !draft);

/** Those whose files are here; all of them, while not even the base is: what is chosen then can be fetched. */
function usable(variants: readonly ListedVariant[], family: ListedFamily): readonly ListedVariant[] {
  return family.variants.some(({ ready }) => ready) ? variants.filter(({ ready }) => ready) : variants;
}

/** The hybrid that the page opens on: half attention, else the first that is no teacher, else the first. */
export function defaultTarget(family: ListedFamily): string {
  const targets = usable(targetsOf(family), family);
  const hybrid = targets.find(({ name }) => name === "attn50") ?? targets.find(({ layers }) => layers.some((layer) => layer !== "attention"));
  return (hybrid ?? targets[0] ?? targetsOf(family)[0])?.name ?? "";
}

/** The draft for any target, where a family ships it. */
const DEFAULT_DRAFT = "draft2";

/**
 * The draft that the page opens on for a target (null: a pattern from a link): one on features that learned this very target, which guesses best; else
 * the default of the family's own, else the first, rather without features. It copies where it can, which is free and more often right. Without any,
 * the lookup, which needs no model.
 */
export function defaultDraft(family: ListedFamily, target: string | null): DraftChoice {
  const drafts = usable(family.variants.filter(({ draft }) => draft), family);
  const alone = drafts.filter(({ features }) => !features);
  const own = drafts.find((draft) => draft.features && draft.target === target) ?? alone.find(({ name }) => name === DEFAULT_DRAFT) ?? alone[0] ?? drafts[0];
  return own ? { kind: "model", variant: own.name, lookup: true } : { kind: "lookup" };
}

/** Drafts to choose from: small models first, then the lookup, the target's first layers, and whole hybrids. */
export function draftOptions(family: ListedFamily, target: string): Option<string>[] {
  const layers = family.shape?.layers ?? 0;
  const shares = [1 / 8, 1 / 4, 1 / 2].map((share) => Math.max(1, Math.round(share * layers)));
  const counts = layers > 1 ? [...new Set(shares)].filter((count) => count < layers) : [];
  const models = (draft: boolean) => family.variants.filter((variant) => variant.draft === draft && variant.name !== target);
  return [
    ...models(true).flatMap(({ name, title, ready }) => {
      const label = (value: string): string => (ready ? value : `${value} (files missing)`);
      const withLookup = formatDraft({ kind: "model", variant: name, lookup: true });
      return [{ value: name, label: label(title), disabled: !ready }, { value: withLookup, label: label(`${title}, and prompt lookup`), disabled: !ready }];
    }),
    { value: "lookup", label: "Prompt lookup (n-gram)" },
    ...counts.map((count) => ({ value: formatDraft({ kind: "layers", count }), label: `The target's first ${count === 1 ? "layer" : `${count} layers`}` })),
    ...models(false).map(({ name, title, ready }) => ({ value: name, label: `${title}, whole`, disabled: !ready })),
  ];
}

export type Choice = {
  readonly target: { readonly variant: string } | { readonly pattern: readonly string[] };
  /** How the target is called on the page. */
  readonly title: string;
  readonly draft: DraftChoice;
  /** Names in the address that the family does not have. */
  readonly unknown: readonly string[];
};

/** What is chosen for a family; names that it does not have fall back to its defaults and are told. */
export function choiceOf({ target, pattern, draft }: Pick<Settings, "target" | "pattern" | "draft">, family: ListedFamily): Choice {
  const unknown: string[] = [];
  const named = targetsOf(family).find(({ name }) => name === target);
  if (target !== null && !named) unknown.push(`There is no variant "${target}" of ${family.title} to decode with; another is shown instead.`);
  const fits = pattern !== null && (family.shape === null || pattern.length === family.shape.layers);
  if (pattern !== null && !fits) unknown.push(`The link's pattern has ${pattern.length} layers, and ${family.title} has ${family.shape?.layers}; another target is shown instead.`);
  const fallback = defaultTarget(family);
  const own = named ?? targetsOf(family).find(({ name }) => name === fallback);
  const given = fits && !named ? pattern : null;
  const draftName = draft && formatDraft(draft);
  const known = draft && (draft.kind !== "model" || family.variants.some(({ name }) => name === draft.variant));
  if (draft && !known) unknown.push(`There is no draft "${draftName}" of ${family.title}; another is used instead.`);
  const chosen = given ? { pattern: given } : { variant: own?.name ?? fallback };
  return {
    target: chosen,
    title: given ? `${given.filter((layer) => layer === "attention").length} of ${given.length} attention` : (own?.title ?? fallback),
    draft: draft && known ? draft : defaultDraft(family, chosen.variant ?? null),
    unknown,
  };
}

/** What a draft is called where there is no model that could tell. */
export function draftTitle(draft: DraftChoice, family: ListedFamily): string {
  const value = formatDraft(draft);
  return draftOptions(family, "").find((option) => option.value === value)?.label ?? value;
}

/** The variant of a draft that reads its target's hidden states; null for other drafts. */
export function featureDraft(draft: DraftChoice, { variants }: ListedFamily): ListedVariant | null {
  return (draft.kind === "model" && variants.find(({ name, features }) => features && name === draft.variant)) || null;
}

export const draftOf = (value: string): DraftChoice => parseDraft(value) ?? { kind: "lookup" };
