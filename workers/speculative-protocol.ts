/**
 * The typed protocol between a page and the speculative worker. One worker holds one target and one draft; a new draft for the same target is
 * loaded beside it. Requests run one after the other; `cancel`, `pace` and `next` act on the one that runs.
 */
import { z } from "zod";
import {
  type Cycle,
  MAX_DRAFTED,
  type PlainResult,
  type PlainToken,
  type SpeculativeInfo,
  type SpeculativeResult,
  type SweepPoint,
  type SweepResult,
} from "@/lib/inference/speculative/types";
import { type ErrorData, generateInputSchema, type Progress, providerChoiceSchema, samplingSchema } from "./protocol";

export type * from "@/lib/inference/speculative/types";
export { MAX_DRAFTED } from "@/lib/inference/speculative/types";

const id = z.number().int().nonnegative();
const shortlist = z.number().int().nonnegative().optional();
const lookup = z.boolean().optional();

export const draftChoiceSchema = z.discriminatedUnion("kind", [
  z
    .object({ kind: z.literal("model"), family: z.string().min(1).optional(), variant: z.string().min(1).optional(), pattern: z.string().min(1).optional(), shortlist, lookup })
    .refine((value) => (value.variant === undefined) !== (value.pattern === undefined), "give a variant or a pattern, not both"),
  z.object({ kind: z.literal("layers"), count: z.number().int().positive(), shortlist, lookup }),
  z.object({ kind: z.literal("lookup"), longest: z.number().int().min(1).max(16).optional(), shortest: z.number().int().min(1).max(16).optional() }),
]);

export const speculativeLoadSchema = z
  .object({
    family: z.string().min(1),
    variant: z.string().min(1).optional(),
    pattern: z.string().min(1).optional(),
    draft: draftChoiceSchema,
    provider: providerChoiceSchema.default("auto"),
    threads: z.number().int().positive().optional(),
    contextLength: z.number().int().positive().optional(),
  })
  .refine((value) => (value.variant === undefined) !== (value.pattern === undefined), "give a variant or a pattern, not both");
export type SpeculativeLoadOptions = z.input<typeof speculativeLoadSchema>;

const drafted = z.union([z.number().int().min(1).max(MAX_DRAFTED), z.literal("adaptive")]);
/** `step`: each cycle waits for a `next`. `slow`: each cycle is followed by a pause of `delayMs`. */
export const paceSchema = z.discriminatedUnion("mode", [
  z.object({ mode: z.literal("run") }),
  z.object({ mode: z.literal("step") }),
  z.object({ mode: z.literal("slow"), delayMs: z.number().min(0).max(60_000) }),
]);
export type Pace = z.infer<typeof paceSchema>;

export const speculativeRequestSchema = z.discriminatedUnion("type", [
  z.object({ id, type: z.literal("load"), options: speculativeLoadSchema }),
  /** Another draft for the target held. */
  z.object({ id, type: z.literal("draft"), draft: draftChoiceSchema }),
  z.object({
    id,
    type: z.literal("run"),
    input: generateInputSchema,
    sampling: samplingSchema,
    K: drafted,
    maxTokens: z.number().int().positive(),
    stopAtEos: z.boolean().default(true),
    pace: paceSchema.default({ mode: "run" }),
    /** Tell p and q of each draft, which takes a little time. */
    probabilities: z.boolean().default(true),
  }),
  /** The baseline: the target alone. */
  z.object({ id, type: z.literal("plain"), input: generateInputSchema, sampling: samplingSchema, maxTokens: z.number().int().positive(), stopAtEos: z.boolean().default(true) }),
  /** Each prompt at each K, plain decoding before each. Greedy unless `sampling` says otherwise. */
  z.object({
    id,
    type: z.literal("sweep"),
    prompts: z.array(z.object({ input: generateInputSchema, kind: z.string().optional() })).min(1),
    K: z.array(drafted).min(1),
    sampling: samplingSchema,
    maxTokens: z.number().int().positive(),
    stopAtEos: z.boolean().default(true),
    /** Plain decoding before each run, so that both see the same machine; or once a prompt, where only the tokens matter. */
    baseline: z.enum(["each", "once"]).default("each"),
  }),
  z.object({ id, type: z.literal("tokenise"), text: z.string() }),
  /** Changes the pace of the run `target`. */
  z.object({ id, type: z.literal("pace"), target: id, pace: paceSchema }),
  /** Lets the run `target` do its next cycle, in step mode. */
  z.object({ id, type: z.literal("next"), target: id }),
  z.object({ id, type: z.literal("cancel"), target: id }),
]);
export type SpeculativeRequest = z.infer<typeof speculativeRequestSchema>;
export type SpeculativeRequestInput = z.input<typeof speculativeRequestSchema>;

export type SpeculativeResults = {
  load: SpeculativeInfo;
  draft: SpeculativeInfo;
  run: SpeculativeResult;
  plain: PlainResult;
  sweep: SweepResult;
  tokenise: { tokens: number[] };
  pace: { found: boolean };
  next: { found: boolean };
  cancel: { found: boolean };
};

/** What comes while a request runs. A run's first token is told by `first`: it is the target's, drawn at the end of the prompt. */
export type SpeculativeEvent =
  | { id: number; type: "first"; token: PlainToken }
  | { id: number; type: "cycle"; cycle: Cycle }
  | { id: number; type: "token"; token: PlainToken }
  | { id: number; type: "point"; point: SweepPoint };

export type SpeculativeAnswer =
  | SpeculativeEvent
  | { id: number; type: "progress"; progress: Progress }
  | { id: number; type: "result"; result: SpeculativeResults[keyof SpeculativeResults] }
  | { id: number; type: "error"; error: ErrorData }
  | { id: null; type: "fault"; error: ErrorData };
