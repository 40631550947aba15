/** What the benchmark page offers to the script that drives it. All arguments and answers are plain data. */
import type { GenerateInput, GenerationResult, LoadOptions, ModelInfo } from "@/workers/protocol";
import type { Comparison } from "./compare";
import type { GpuBytes } from "./gpu-bytes";
import type { PeerRun } from "./peer";

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
};

declare global {
  interface Window {
    bench: BenchPage;
  }
}
