import { expect, it } from "vitest";
import type { ListedFamily, ListedVariant } from "@/lib/home/listing";
import { choiceOf, defaultDraft, featureDraft } from "./choices";

const hybrid = (name: string): ListedVariant => ({ name, title: name, layers: ["attention", "mamba2:set"], draft: false, features: false, target: null, files: [], ready: true });
const small = (name: string, more: Partial<ListedVariant> = {}): ListedVariant => ({ ...hybrid(name), layers: [`mamba2:${name}`], draft: true, target: "attn50", ...more });
const family = (...variants: ListedVariant[]): ListedFamily => ({
  family: "f",
  title: "F",
  description: "",
  license: "",
  source: "",
  origin: "shipped",
  fetchable: false,
  chat: true,
  shape: { layers: 2, width: 8, heads: 1, keyValueHeads: 1, vocabulary: 16, context: 32 },
  files: [],
  variants,
  problem: null,
});
const targets = [hybrid("attn50"), hybrid("attn25")];
const eagle = small("eagle2", { features: true });
const unset = { target: null, pattern: null, draft: null };

it("opens on the draft on features that learned the target, and on the family's own beside others", () => {
  const full = family(...targets, small("other"), small("draft2"), eagle);
  expect(choiceOf(unset, full)).toMatchObject({ target: { variant: "attn50" }, draft: { kind: "model", variant: "eagle2", lookup: true } });
  expect(choiceOf({ ...unset, target: "attn25" }, full).draft).toEqual({ kind: "model", variant: "draft2", lookup: true });
  expect(choiceOf({ ...unset, pattern: ["attention", "mamba2:set"] }, full)).toMatchObject({ target: { pattern: ["attention", "mamba2:set"] }, draft: { variant: "draft2" } });
  expect(choiceOf({ ...unset, target: "attn25", draft: { kind: "model", variant: "eagle2" } }, full).draft).toEqual({ kind: "model", variant: "eagle2" });
});

it("takes what a family has: drafts whose files are here, drafts without features first, the lookup last", () => {
  expect(defaultDraft(family(...targets, small("draft2"), { ...eagle, ready: false }), "attn50")).toEqual({ kind: "model", variant: "draft2", lookup: true });
  expect(defaultDraft(family(...targets, eagle, small("other")), "attn25")).toEqual({ kind: "model", variant: "other", lookup: true });
  expect(defaultDraft(family(...targets, { ...eagle, target: null }), "attn50")).toEqual({ kind: "model", variant: "eagle2", lookup: true });
  expect(defaultDraft(family(...targets), "attn50")).toEqual({ kind: "lookup" });
});

it("tells drafts on features from others", () => {
  const full = family(...targets, small("draft2"), eagle);
  expect(featureDraft({ kind: "model", variant: "eagle2" }, full)?.target).toBe("attn50");
  for (const draft of [{ kind: "model", variant: "draft2" }, { kind: "lookup" }, { kind: "layers", count: 1 }] as const) expect(featureDraft(draft, full)).toBeNull();
});
