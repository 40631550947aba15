/** What the benchmark page offers to the script that drives it. All arguments and answers are plain data. */
import type { ProbeInfo, ProbeText } from "@/lib/inference/probe/types";
import type { ProbeLoadOptions } from "@/workers/probe-protocol";
import type { DraftChoice, Drafted, SpeculativeInfo, SpeculativeLoadOptions, SpeculativeResult, SweepResult } from "@/workers/speculative-protocol";
import type { GenerateInput, GenerationResult, LoadOptions, ModelInfo } from "@/workers/protocol";
import type { Comparison } from "./compare";
import type { GpuBytes } from "./gpu-bytes";
import type { PeerRun } from "./peer";

export type Timed<T> = T & { seconds: number };

export type BenchPage = {
  /** Loads a model in place of the one held. */
  load(options: LoadOptions): Promise<ModelInfo>;
  info(): Promise<ModelInfo | null>;
  unload(): Promise<void>;
  /** Greedy, through end tokens, from an empty state. */
  generate(input: GenerateInput, maxTokens: number): Promise<GenerationResult>;
  tokenise(text: string): Promise<number[]>;
  /** The model's logits of `tokens` against the float32 logits at `url`. */
  compare(tokens: number[], stepwise: boolean, url: string): Promise<Comparison & { milliseconds: number }>;
  /** Bytes that the accounting names for a context. */
  accountedBytes(family: string, variant: string, tokens: number): Promise<{ kv: number; state: number }>;
  /** Null if nothing counts them: the model runs on WebAssembly. */
  gpuBytes(): Promise<GpuBytes | null>;
  peerLoad(threads: number): Promise<{ threads: number; version: string }>;
  /** Greedy, through end tokens, with no part of the prompt reused. */
  peerGenerate(prompt: string, maxTokens: number): Promise<PeerRun>;
  peerUnload(): Promise<void>;
  /** The explorer's own worker; each answer tells how long it was waited for. */
  probeLoad(options: ProbeLoadOptions): Promise<Timed<ProbeInfo>>;
  probeText(text: string): Promise<Timed<ProbeText>>;
  /** `from` is the first layer that was computed again. */
  probeCompare(layers: string[]): Promise<Timed<{ from: number; kl: number }>>;
  probeSweep(set: string): Promise<Timed<{ layers: number }>>;
  probeInside(layer: number, set: string): Promise<Timed<{ heads: number }>>;
  probeUnload(): Promise<void>;
  /** The speculative worker. */
  speculativeLoad(options: SpeculativeLoadOptions): Promise<SpeculativeInfo>;
  speculativeDraft(draft: DraftChoice): Promise<SpeculativeInfo>;
  /** Greedy, up to end tokens if `stop`. */
  speculativeRun(input: GenerateInput, K: Drafted, maxTokens: number, stop: boolean): Promise<SpeculativeResult>;
  speculativeSweep(prompts: { input: GenerateInput; kind: string }[], K: Drafted[], options: { maxTokens: number; stop: boolean; baseline: "each" | "once" }): Promise<SweepResult>;
  speculativeUnload(): Promise<void>;
};

declare global {
  interface Window {
    bench: BenchPage;
  }
}
