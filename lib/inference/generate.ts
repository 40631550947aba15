/** The decode loop. */
import type { Context } from "./context";
import { ContextTooLongError } from "./errors";
import { Sampler, type SamplingOptions } from "./sampler";
import { Detokeniser } from "./tokenizer";
import { turn } from "./turn";

export type GenerateOptions = {
  readonly sampling: SamplingOptions;
  readonly seed: number;
  readonly maxTokens: number;
  /** Tokens that end the answer; they are not part of it. */
  readonly stopTokens: ReadonlySet<number>;
  readonly contextLength: number;
  readonly chunk: number;
  readonly signal?: AbortSignal;
  readonly onPrefill?: (done: number, total: number) => void;
  readonly decode: (tokens: readonly number[]) => string;
};

export type GeneratedToken = {
  readonly token: number;
  /** Text that this token completed: may be empty while a character is incomplete. */
  readonly text: string;
  readonly logProbability: number;
  readonly index: number;
  readonly tokensPerSecond: number;
};

export type Generated = {
  readonly text: string;
  readonly tokens: number[];
  /** `context`: the model's context is full. */
  readonly finishReason: "stop" | "length" | "context" | "cancelled";
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly timeToFirstTokenMs: number;
  readonly prefillTokensPerSecond: number;
  readonly tokensPerSecond: number;
};

/**
 * Continues `prompt`: yields each token as it comes and returns the whole. An aborted signal ends it at the next token, or the next
 * chunk of the prompt, with what there is. Throws ContextTooLongError for a prompt that leaves no room for an answer.
 */
export async function* generate(context: Context, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<GeneratedToken, Generated, void> {
  const { contextLength, maxTokens, signal, stopTokens } = options;
  if (prompt.length >= contextLength) throw new ContextTooLongError(prompt.length, contextLength);
  const sampler = new Sampler(options.sampling, options.seed);
  const detokeniser = new Detokeniser(options.decode);
  const tokens: number[] = [];
  let text = "";
  const started = performance.now();
  let first = started;
  let reusedTokens = 0;
  let prefilled = started;
  const speed = (): number => (tokens.length > 1 ? ((tokens.length - 1) * 1000) / (performance.now() - first) : 0);
  const finish = (finishReason: Generated["finishReason"]): Generated => ({
    text: text + detokeniser.flush(),
    tokens,
    finishReason,
    promptTokens: prompt.length,
    reusedTokens,
    timeToFirstTokenMs: tokens.length > 0 ? first - started : 0,
    prefillTokensPerSecond: prefilled > started ? ((prompt.length - reusedTokens) * 1000) / (prefilled - started) : 0,
    tokensPerSecond: speed(),
  });

  let logits: Float32Array;
  try {
    const { chunk, onPrefill } = options;
    ({ logits, reused: reusedTokens } = await context.prefill(prompt, { chunk, ...(signal ? { signal } : {}), ...(onPrefill ? { onProgress: onPrefill } : {}) }));
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return finish("cancelled");
    throw error;
  }
  prefilled = performance.now();

  for (;;) {
    if (signal?.aborted) return finish("cancelled");
    const { token, logProbability } = sampler.draw(logits, context.held);
    if (stopTokens.has(token)) return finish("stop");
    tokens.push(token);
    if (tokens.length === 1) first = performance.now();
    const piece = detokeniser.push(token);
    text += piece;
    yield { token, text: piece, logProbability, index: tokens.length, tokensPerSecond: speed() };
    if (tokens.length >= maxTokens) return finish("length");
    if (context.held.length + 1 >= contextLength) return finish("context");
    await turn();
    if (signal?.aborted) return finish("cancelled");
    logits = await context.read([token]);
  }
}
