/**
 * The typed protocol between the explorer and the probe worker. One worker holds one family: the teacher's layers, and the Mamba mixers of the
 * sets that were asked for. The text's hidden states are kept, so that a changed pattern is computed from its first change only.
 */
import { z } from "zod";
import type { Comparison, LayerDistance, LayerInside, LayerSensitivity, ProbeInfo, ProbeProgress, ProbeText } from "@/lib/inference/probe/types";
import { type ErrorData, providerChoiceSchema } from "./protocol";

const id = z.number().int().nonnegative();
const layers = z.array(z.string().min(1)).min(1);

export const probeLoadSchema = z.object({
  family: z.string().min(1),
  provider: providerChoiceSchema.default("auto"),
  threads: z.number().int().positive().optional(),
});

export const probeRequestSchema = z.discriminatedUnion("type", [
  z.object({ id, type: z.literal("load"), options: probeLoadSchema }),
  /** Reads a text with the teacher. Texts longer than `maxTokens` are cut. */
  z.object({ id, type: z.literal("text"), text: z.string() }),
  /** Compares a hybrid, given as one layer spec a layer, with the teacher on the text. Loads mixers that it needs. */
  z.object({ id, type: z.literal("compare"), layers }),
  /** Each layer's own distance, for the layers that the set holds. */
  z.object({ id, type: z.literal("distances"), set: z.string().min(1) }),
  /** Replaces one layer at a time; each is sent as `partial` when it is done. */
  z.object({ id, type: z.literal("sensitivity"), set: z.string().min(1), layers: z.array(z.number().int().nonnegative()).optional() }),
  z.object({ id, type: z.literal("inside"), layer: z.number().int().nonnegative(), set: z.string().min(1) }),
  /** The text of token ids, one by one. */
  z.object({ id, type: z.literal("decode"), tokens: z.array(z.number().int().nonnegative()) }),
  z.object({ id, type: z.literal("cancel"), target: id }),
]);
export type ProbeRequest = z.infer<typeof probeRequestSchema>;
export type ProbeRequestInput = z.input<typeof probeRequestSchema>;
export type ProbeLoadOptions = z.input<typeof probeLoadSchema>;

/** What each request answers with. `from` is the first layer that was computed again. */
export type ProbeResults = {
  load: ProbeInfo;
  text: ProbeText;
  compare: { comparison: Comparison; from: number; milliseconds: number };
  distances: { distances: LayerDistance[] };
  sensitivity: { sensitivities: LayerSensitivity[] };
  inside: LayerInside;
  decode: { pieces: string[] };
  cancel: { found: boolean };
};

export type ProbeAnswer =
  | { id: number; type: "progress"; progress: ProbeProgress }
  | { id: number; type: "partial"; sensitivity: LayerSensitivity }
  | { id: number; type: "result"; result: ProbeResults[keyof ProbeResults] }
  | { id: number; type: "error"; error: ErrorData }
  | { id: null; type: "fault"; error: ErrorData };
