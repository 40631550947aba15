import { beforeAll, describe, expect, it } from "vitest";
import { type SyntheticBundle, syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { Context } from "./context";
import { ContextTooLongError } from "./errors";
import { generate, type GenerateOptions, type Generated } from "./generate";
import { syntheticRunner } from "./testing";
import type { WasmRunner } from "./wasm-runner";

let bundle: SyntheticBundle;
beforeAll(async () => {
  bundle = await syntheticBundle({ architecture: tinyArchitecture({ max_position_embeddings: 96 }), sets: { m: tinyMamba2() } });
});

const runnerOf = (layers: string[]): Promise<WasmRunner> => syntheticRunner(bundle, bundle.config(layers), { allLogits: false });
const prompt = [5, 9, 2, 77, 31, 8];
const options = (changes: Partial<GenerateOptions> = {}): GenerateOptions => ({
  sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
  seed: 1,
  maxTokens: 12,
  stopTokens: new Set(),
  contextLength: 96,
  chunk: 4,
  decode: (tokens) => tokens.map((token) => `${token} `).join(""),
  ...changes,
});

async function run(context: Context, tokens: readonly number[], changes: Partial<GenerateOptions> = {}): Promise<Generated & { streamed: number[] }> {
  const stream = generate(context, tokens, options(changes));
  const streamed: number[] = [];
  for (;;) {
    const step = await stream.next();
    if (step.done) return { ...step.value, streamed };
    streamed.push(step.value.token);
  }
}

describe.each([[["attention", "attention"]], [["attention", "mamba2:m"]], [["mamba2:m", "mamba2:m"]]])("generation with %s", (layers) => {
  it("answers the same from a fresh state, again, and over later turns", async () => {
    const fresh = new Context(await runnerOf(layers));
    const first = await run(fresh, prompt);
    expect(first).toMatchObject({ finishReason: "length", promptTokens: 6, reusedTokens: 0 });
    expect(first.tokens).toHaveLength(12);
    expect(first.streamed).toEqual(first.tokens);
    expect(first.text).toBe(first.tokens.map((token) => `${token} `).join(""));

    const again = await run(fresh, prompt);
    expect(again.tokens).toEqual(first.tokens);
    expect(again.reusedTokens).toBe(6);

    const turn = [...prompt, ...first.tokens, 3, 4];
    const next = await run(fresh, turn);
    expect(next.reusedTokens).toBeGreaterThanOrEqual(turn.length - 3); // all but the last drawn token and the new ones
    const straight = await run(new Context(await runnerOf(layers)), turn);
    expect(next.tokens).toEqual(straight.tokens);

    const edited = [...prompt, 100, 101, 102];
    const branched = await run(fresh, edited);
    expect(branched.tokens).toEqual((await run(new Context(await runnerOf(layers)), edited)).tokens);
    const other = await run(fresh, [88, 87]);
    expect(other.reusedTokens).toBe(0);
    expect(other.tokens).toEqual((await run(new Context(await runnerOf(layers)), [88, 87])).tokens);
  });

  it("falls back on the end of the last prompt when the answer was edited", async () => {
    const context = new Context(await runnerOf(layers));
    const { tokens } = await run(context, prompt);
    const edited = await run(context, [...prompt, (tokens[0] ?? 0) + 1, 4]);
    expect(edited.reusedTokens).toBe(6);
  });
});

describe("the end of a generation", () => {
  it("comes at a stop token, which is not part of the answer", async () => {
    const context = new Context(await runnerOf(["attention", "mamba2:m"]));
    const { tokens } = await run(context, prompt);
    const stop = tokens[5] ?? 0;
    const stopped = await run(context, prompt, { stopTokens: new Set([stop]) });
    expect(stopped.finishReason).toBe("stop");
    expect(stopped.tokens).toEqual(tokens.slice(0, tokens.indexOf(stop)));
  });

  it("comes when the context is full, and a prompt that fills it is refused", async () => {
    const context = new Context(await runnerOf(["attention", "mamba2:m"]));
    const full = await run(context, prompt, { contextLength: 10, maxTokens: 50 });
    expect(full.finishReason).toBe("context");
    expect(full.promptTokens + full.tokens.length).toBe(10);
    await expect(run(context, Array.from({ length: 96 }, () => 1))).rejects.toThrow(ContextTooLongError);
    expect((await run(context, prompt)).finishReason).toBe("length"); // still usable
  });

  it("comes at once when cancelled, before or amid the answer", async () => {
    const context = new Context(await runnerOf(["attention", "mamba2:m"]));
    const canceller = new AbortController();
    const stream = generate(context, prompt, options({ maxTokens: 50, signal: canceller.signal }));
    let count = 0;
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) if (++count === 3) canceller.abort();
    expect(step.value).toMatchObject({ finishReason: "cancelled" });
    expect(step.value.tokens).toHaveLength(3);

    const early = new AbortController();
    const progress: number[] = [];
    const cancelled = await run(context, [60, 61, 62, 63, 64, 65, 66, 67, 68], { signal: early.signal, onPrefill: (done) => progress.push(done) === 2 && early.abort() });
    expect(cancelled).toMatchObject({ finishReason: "cancelled", tokens: [] });
    const whole = await run(context, [60, 61, 62, 63, 64, 65, 66, 67, 68]); // goes on where the reading stopped, and is right
    expect(whole.tokens).toEqual((await run(new Context(await runnerOf(["attention", "mamba2:m"])), [60, 61, 62, 63, 64, 65, 66, 67, 68])).tokens);
  });
});
