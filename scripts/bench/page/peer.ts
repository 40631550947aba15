/** llama.cpp in the browser, by wllama. */
import { LoggerWithoutDebug, type RawCompletionParams, Wllama } from "@wllama/wllama/esm/index.js";

export type PeerRun = { promptTokens: number; tokens: number; prefillTokensPerSecond: number; tokensPerSecond: number; text: string };

export class Peer {
  private constructor(private readonly wllama: Wllama) {}

  static async load(threads: number): Promise<Peer> {
    const quiet = { ...LoggerWithoutDebug, log: () => undefined, warn: () => undefined };
    const wllama = new Wllama({ default: "/bench/wllama.wasm" }, { suppressNativeLog: true, logger: quiet });
    const model = await (await fetch("/bench/model.gguf")).blob();
    await wllama.loadModel([model], { n_ctx: 2048, n_threads: threads, n_gpu_layers: 0 });
    return new Peer(wllama);
  }

  get threads(): number {
    return this.wllama.isMultithread() ? this.wllama.getNumThreads() : 1;
  }

  /** The timings are llama.cpp's own, which leave out the messages between worker and page. */
  async generate(prompt: string, maxTokens: number): Promise<PeerRun> {
    // `cache_prompt` is passed through to llama.cpp's server; the typing names it for chats only.
    const options: RawCompletionParams & { cache_prompt: boolean } = { prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true, cache_prompt: false };
    const { timings, choices } = await this.wllama.createCompletion({ ...options, stream: false });
    if (!timings) throw new Error("wllama told no timings.");
    return {
      promptTokens: timings.prompt_n,
      tokens: timings.predicted_n,
      prefillTokensPerSecond: timings.prompt_per_second,
      tokensPerSecond: timings.predicted_per_second,
      text: choices[0]?.text ?? "",
    };
  }

  unload(): Promise<void> {
    return this.wllama.exit();
  }
}
