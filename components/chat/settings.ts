/** Sampling settings of the chat. */
import { z } from "zod";
import type { SamplingInput } from "@/workers/protocol";

export const settingsSchema = z.object({
  greedy: z.boolean(),
  temperature: z.number().min(0.05).max(2),
  topK: z.number().int().min(0).max(200),
  topP: z.number().min(0.05).max(1),
  minP: z.number().min(0).max(0.5),
  repetitionPenalty: z.number().min(1).max(2),
  /** `null` draws a new seed for each answer. */
  seed: z.number().int().min(0).max(0xffffffff).nullable(),
  maxTokens: z.number().int().min(1).max(4096),
  /** Side by side: both models at once, or one after the other, which keeps their timings comparable. */
  parallel: z.boolean(),
});

export type Settings = z.infer<typeof settingsSchema>;

export const defaultSettings: Settings = {
  greedy: false,
  temperature: 0.7,
  topK: 40,
  topP: 0.95,
  minP: 0,
  repetitionPenalty: 1.1,
  seed: null,
  maxTokens: 256,
  parallel: false,
};

/** The settings in the worker's terms. */
export function toSampling(settings: Settings): SamplingInput {
  const { greedy, temperature, topK, topP, minP, repetitionPenalty, seed } = settings;
  const drawn = seed === null ? {} : { seed };
  return greedy ? { temperature: 0, repetitionPenalty, ...drawn } : { temperature, topK, topP, minP, repetitionPenalty, ...drawn };
}
