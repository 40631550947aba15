/** The explorer's address: `?family=&a=&b=&set=&sample=|text=&layer=&head=&tab=&provider=`. */
import { z } from "zod";
import { formatPattern, parsePattern, PatternError } from "@/lib/hybrid/pattern";
import { nameSchema } from "@/lib/hybrid/config";
import { providerChoiceSchema, type ProviderChoice } from "@/workers/protocol";
import { isSample, type SampleId } from "./samples";
import { packText, unpackText } from "./share-text";

export const tabs = ["text", "layers", "inside", "benefit"] as const;
export type Tab = (typeof tabs)[number];

export type Source = { readonly kind: "sample"; readonly id: SampleId } | { readonly kind: "own"; readonly text: string };

/** What a link says. Absent: the link leaves it open. */
export type View = {
  family?: string;
  a?: readonly string[];
  /** The second pattern; absent without A/B. */
  b?: readonly string[];
  set?: string;
  source?: Source;
  layer?: number;
  /** Head that the view inside a layer shows. */
  head?: number;
  tab?: Tab;
  provider?: ProviderChoice;
};

/** The address of a view, without its "?". A text that is too long for a link is left out; `complete` tells. */
export function encodeView(view: View): { query: string; complete: boolean } {
  const query = new URLSearchParams();
  let complete = true;
  if (view.family !== undefined) query.set("family", view.family);
  if (view.a) query.set("a", formatPattern([...view.a]));
  if (view.b) query.set("b", formatPattern([...view.b]));
  if (view.set !== undefined) query.set("set", view.set);
  if (view.source?.kind === "sample") query.set("sample", view.source.id);
  if (view.source?.kind === "own" && view.source.text !== "") {
    const packed = packText(view.source.text);
    if (packed === null) complete = false;
    else query.set("text", packed);
  }
  if (view.layer !== undefined) query.set("layer", String(view.layer));
  if (view.head !== undefined && view.head !== 0) query.set("head", String(view.head));
  if (view.tab !== undefined) query.set("tab", view.tab);
  if (view.provider !== undefined && view.provider !== "auto") query.set("provider", view.provider);
  // "~" needs no escape in an address, and patterns are to be read there.
  return { query: query.toString().replaceAll("%7E", "~"), complete };
}

const numberSchema = z
  .string()
  .regex(/^\d{1,3}$/)
  .transform(Number);

/** What an address says, and a sentence for each part that cannot be read. What can be read is kept. */
export function decodeView(query: URLSearchParams): { view: View; problems: string[] } {
  const view: View = {};
  const problems: string[] = [];
  const read = <T>(key: string, parse: (text: string) => T | null, keep: (value: T) => void, wanted: string): void => {
    const text = query.get(key);
    if (text === null) return;
    const value = parse(text);
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
  for (const key of ["a", "b"] as const) {
    const text = query.get(key);
    if (text === null) continue;
    try {
      view[key] = parsePattern(text);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      problems.push(`Pattern ${key.toUpperCase()}, "${shorten(text)}", cannot be read at character ${error.position + 1}: expected ${error.expected}.`);
    }
  }
  read("set", by(nameSchema), (set) => (view.set = set), "the name of a mixer set");
  read("sample", (text) => (isSample(text) ? text : null), (id) => (view.source = { kind: "sample", id }), "the name of a sample text");
  read("text", unpackText, (text) => (view.source = { kind: "own", text }), "a whole text: the link was cut or changed");
  read("layer", by(numberSchema), (layer) => (view.layer = layer), "the number of a layer");
  read("head", by(numberSchema), (head) => (view.head = head), "the number of a head");
  read("tab", by(z.enum(tabs)), (tab) => (view.tab = tab), `one of ${tabs.join(", ")}`);
  read("provider", by(providerChoiceSchema), (provider) => (view.provider = provider), "auto, webgpu or wasm");
  return { view, problems };
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
