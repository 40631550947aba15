/** The page's address: `?family=&target=|pattern=&draft=&k=&temperature=&tokens=&provider=&tab=&prompt=`. */
import { z } from "zod";
import { formatPattern, parsePattern, PatternError } from "@/lib/hybrid/pattern";
import { nameSchema } from "@/lib/hybrid/config";
import { packText, unpackText } from "@/components/explore/share-text";
import { providerChoiceSchema, type ProviderChoice } from "@/workers/protocol";
import { type DraftChoice, type Drafted, MAX_DRAFTED } from "@/workers/speculative-protocol";

export const tabs = ["cycles", "acceptance", "speed", "recorded"] as const;
export type Tab = (typeof tabs)[number];

export type View = {
  family?: string;
  /** A shipped variant's name. */
  target?: string;
  /** Or one mixer a layer. */
  pattern?: readonly string[];
  draft?: DraftChoice;
  k?: Drafted;
  temperature?: number;
  tokens?: number;
  provider?: ProviderChoice;
  tab?: Tab;
  prompt?: string;
};

/** Ends the name of a draft that copies where it can. */
const WITH_LOOKUP = "+lookup";

/** A draft in the address: a variant's name or `first-4` (the target's first layers), perhaps with `+lookup`; or `lookup` alone. */
export function formatDraft(draft: DraftChoice): string {
  switch (draft.kind) {
    case "model":
      return `${draft.variant ?? ""}${draft.lookup ? WITH_LOOKUP : ""}`;
    case "layers":
      return `first-${draft.count}${draft.lookup ? WITH_LOOKUP : ""}`;
    case "lookup":
      return "lookup";
  }
}

/** The draft that a text of `formatDraft` names; null if it names none. */
export function parseDraft(text: string): DraftChoice | null {
  if (text === "lookup") return { kind: "lookup" };
  if (text.endsWith(WITH_LOOKUP)) {
    const model = parseDraft(text.slice(0, -WITH_LOOKUP.length));
    return model && model.kind !== "lookup" && !model.lookup ? { ...model, lookup: true } : null;
  }
  const count = /^first-([1-9]\d{0,2})$/.exec(text)?.[1];
  if (count !== undefined) return { kind: "layers", count: Number(count) };
  return nameSchema.safeParse(text).success ? { kind: "model", variant: text } : null;
}

/** The address of a view, without its "?". A prompt that is too long for a link is left out; `complete` tells. */
export function encodeView(view: View): { query: string; complete: boolean } {
  const query = new URLSearchParams();
  let complete = true;
  if (view.family !== undefined) query.set("family", view.family);
  if (view.target !== undefined) query.set("target", view.target);
  if (view.pattern) query.set("pattern", formatPattern([...view.pattern]));
  if (view.draft) query.set("draft", formatDraft(view.draft));
  if (view.k !== undefined) query.set("k", String(view.k));
  if (view.temperature !== undefined && view.temperature > 0) query.set("temperature", String(view.temperature));
  if (view.tokens !== undefined) query.set("tokens", String(view.tokens));
  if (view.provider !== undefined && view.provider !== "auto") query.set("provider", view.provider);
  if (view.tab !== undefined) query.set("tab", view.tab);
  if (view.prompt !== undefined && view.prompt !== "") {
    const packed = packText(view.prompt);
    if (packed === null) complete = false;
    else query.set("prompt", packed);
  }
  return { query: query.toString().replaceAll("%7E", "~"), complete };
}

const between = (low: number, high: number) => z.coerce.number().min(low).max(high);

/** What an address says, and a sentence for each part that cannot be read. What can be read is kept. */
export function decodeView(query: URLSearchParams): { view: View; problems: string[] } {
  const view: View = {};
  const problems: string[] = [];
  const read = <T>(key: string, parse: (text: string) => T | null, keep: (value: T) => void, wanted: string): void => {
    const text = query.get(key);
    if (text === null) return;
    const value = text === "" ? null : parse(text);
    if (value === null) problems.push(`"${key}=${shorten(text)}" is not ${wanted}.`);
    else keep(value);
  };
  const by =
    <T>(schema: z.ZodType<T>) =>
    (text: string): T | null => {
      const result = schema.safeParse(text);
      return result.success ? result.data : null;
    };

  read("family", by(nameSchema), (family) => (view.family = family), "the name of a family");
  read("target", by(nameSchema), (target) => (view.target = target), "the name of a variant");
  read("pattern", patternOf, (pattern) => (view.pattern = pattern), "a layer pattern");
  read("draft", parseDraft, (draft) => (view.draft = draft), 'a draft: "lookup", or a variant\'s name or "first-<layers>", perhaps with "+lookup"');
  read("k", (text) => (text === "adaptive" ? "adaptive" : by(between(1, MAX_DRAFTED).int())(text)), (k) => (view.k = k), `a number from 1 to ${MAX_DRAFTED} or "adaptive"`);
  read("temperature", by(between(0, 2)), (temperature) => (view.temperature = temperature), "a temperature from 0 to 2");
  read("tokens", by(between(1, 4096).int()), (tokens) => (view.tokens = tokens), "a number of tokens from 1 to 4096");
  read("provider", by(providerChoiceSchema), (provider) => (view.provider = provider), "auto, webgpu or wasm");
  read("tab", by(z.enum(tabs)), (tab) => (view.tab = tab), `one of ${tabs.join(", ")}`);
  read("prompt", unpackText, (prompt) => (view.prompt = prompt), "a whole text: the link was cut or changed");
  return { view, problems };
}

function patternOf(text: string): string[] | null {
  try {
    return parsePattern(text);
  } catch (error) {
    if (error instanceof PatternError) return null;
    throw error;
  }
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
