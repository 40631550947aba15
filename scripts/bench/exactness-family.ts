/** A family on the disk, and how it decodes, for benchmarks in Node. */
import path from "node:path";
import { type DiskBundle, diskBundle } from "@/lib/inference/speculative/testing";
import { Tokenizer } from "@/lib/inference/tokenizer";
import { DEFAULT_SHORTLIST } from "@/lib/inference/speculative/shortlist";
import type { DraftChoice } from "@/lib/inference/speculative/types";
import type { SamplingOptions } from "@/lib/inference/sampler";
import type { Manifest } from "@/lib/weights/manifest";
import { homeFolder, root } from "../lib/paths.mjs";
import { chatPrompts, storyPrompts } from "./prompts";

export const GREEDY: SamplingOptions = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

/** A draft that ships, among the tokens that the page lets it propose. */
export const shippedDraft = (variant: string, lookup?: true): DraftChoice => ({ kind: "model", variant, shortlist: DEFAULT_SHORTLIST, ...(lookup && { lookup }) });

export type Family = { readonly bundle: DiskBundle; readonly tokenizer: Tokenizer; readonly inputs: readonly (readonly number[])[] };

/** Those drafts that the family has: models that do not ship yet, or no more, are left out. */
export function presentDrafts({ variants }: Pick<Manifest, "variants">, drafts: Readonly<Record<string, DraftChoice>>): Record<string, DraftChoice> {
  return Object.fromEntries(Object.entries(drafts).filter(([, choice]) => choice.kind !== "model" || Object.hasOwn(variants, choice.variant ?? "")));
}

/** A family's manifest and files, from what ships and what was fetched. */
export function bundleOf(name: string): DiskBundle {
  return diskBundle(...[path.join(root, "public"), homeFolder()].map((parent) => path.join(parent, "models", name)));
}

/** A family's files, from what ships and what was fetched, and its prompts. */
export function openFamily(name: string): Family {
  const bundle = bundleOf(name);
  const json = (file: string): object => {
    const bytes = bundle.read(file);
    if (!bytes) throw Object.assign(new Error(`${file} of "${name}" is not on this machine.`), { action: "Fetch the family's base first." });
    return JSON.parse(bytes.toString("utf8")) as object;
  };
  const tokenizer = new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
  const inputs = tokenizer.hasChatTemplate ? chatPrompts.map(({ text }) => tokenizer.encodeChat([{ role: "user", content: text }])) : storyPrompts.map(({ text }) => tokenizer.encode(text));
  return { bundle, tokenizer, inputs };
}
