import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { ReferenceModel } from "@/lib/onnx/reference";
import { type SyntheticBundle, syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { syntheticRunner } from "./testing";
import type { Runner } from "./runner";

const TOKENS = Array.from({ length: 64 }, (_, index) => (index * 37 + 11) % 160);
const TOLERANCE = 1e-3; // float32 against float64; the group norm magnifies the rounding of quiet groups

function difference(actual: Float32Array, expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return actual.reduce((worst, value, index) => Math.max(worst, Math.abs(value - (expected[index] ?? NaN))), 0);
}

/** Logits of `tokens` from the empty state, read in chunks of the given sizes. */
async function logits(runner: Runner, tokens: readonly number[], chunks: readonly number[]): Promise<Float32Array> {
  runner.reset();
  const out: number[] = [];
  for (let begin = 0, turn = 0; begin < tokens.length; turn++) {
    const size = chunks[turn % chunks.length] ?? 1;
    out.push(...(await runner.forward(tokens.slice(begin, begin + size))));
    begin += size;
  }
  return Float32Array.from(out);
}

async function expectParity(bundle: SyntheticBundle, layers: readonly string[], tokens: readonly number[], chunkings: readonly number[][]): Promise<void> {
  const config = bundle.config(layers);
  const reference = new ReferenceModel(config, bundle.manifest.mixer_sets, (name) => bundle.values(config, name)).run(tokens).flat();
  expect(Math.max(...reference)).toBeGreaterThan(0.5); // a reference of zeros would agree with anything
  const runner = await syntheticRunner(bundle, config);
  try {
    for (const chunks of chunkings) expect(difference(await logits(runner, tokens, chunks), reference)).toBeLessThan(TOLERANCE);
  } finally {
    await runner.dispose();
  }
}

const oneLayer = (changes: Partial<Architecture> = {}): Architecture => tinyArchitecture({ num_hidden_layers: 1, ...changes });

describe("the graph on WebAssembly, against the float64 reference", () => {
  const mixers: Record<string, Partial<Mamba2Config>> = {
    "ssd, all parts": {},
    "ssd, identity convolution": { conv_activation: "identity", norm_groups: 4 },
    "ssd, no convolution": { conv_kernel: 0 },
    "ssd, no gate": { gate: false, norm: "none" },
    "ssd, one group": { num_kv_heads: 1, norm_groups: 4 },
    "ssd, as many groups as heads": { num_kv_heads: 4 },
    "ssd, state wider than the head": { state_size: 24, head_dim: 8 },
    discrete: { form: "discrete", conv_kernel: 0, conv_activation: "identity", gate: false, norm: "none" },
    "discrete, one group": { form: "discrete", num_kv_heads: 1 },
    "discrete, as many groups as heads": { form: "discrete", num_kv_heads: 4, conv_activation: "identity" },
  };
  it.each(Object.entries(mixers))("mamba2: %s", async (_, changes) => {
    const bundle = await syntheticBundle({ architecture: oneLayer(), sets: { m: tinyMamba2(changes) } });
    await expectParity(bundle, ["mamba2:m"], TOKENS.slice(0, 24), [[24], [1], [5, 1]]);
  });

  const heads = [
    [4, 4],
    [4, 2],
    [4, 1],
    [9, 3],
  ] as const;
  it.each(heads)("attention: %i query and %i key/value heads", async (queries, groups) => {
    const architecture = oneLayer({ num_attention_heads: queries, num_key_value_heads: groups });
    await expectParity(await syntheticBundle({ architecture }), ["attention"], TOKENS.slice(0, 24), [[24], [1], [5, 1]]);
  });

  it("mixed layers and codecs, 64 tokens, prefilled or stepped", async () => {
    const architecture = tinyArchitecture({ num_hidden_layers: 4 });
    const sets = { m: tinyMamba2(), d: tinyMamba2({ form: "discrete", gate: false }) };
    for (const codec of ["q8_0", "q4_1", "f16"] as const) {
      const bundle = await syntheticBundle({ architecture, sets, codec });
      await expectParity(bundle, ["attention", "mamba2:m", "mamba2:d", "attention"], TOKENS, [[64], [1], [7, 3]]);
    }
  });

  it("an LM head of its own", async () => {
    const bundle = await syntheticBundle({ architecture: oneLayer({ tie_word_embeddings: false }), codec: "q4_0" });
    await expectParity(bundle, ["attention"], TOKENS.slice(0, 8), [[8]]);
  });

  it("the sink that chooses the kernel changes nothing", async () => {
    const architecture = tinyArchitecture({ num_attention_heads: 9, num_key_value_heads: 3, max_position_embeddings: 512 });
    const bundle = await syntheticBundle({ architecture });
    const config = bundle.config(["attention", "attention"]);
    const long = Array.from({ length: 300 }, (_, index) => (index * 7) % 160);
    const [plain, sink] = [await syntheticRunner(bundle, config, { provider: "webgpu" }), await syntheticRunner(bundle, config)];
    const expected = await logits(plain, long, [32, 1]);
    expect(difference(await logits(sink, long, [32, 1]), Array.from(expected))).toBeLessThan(1e-4);
    for (const runner of [plain, sink]) await runner.dispose();
  });

  it("random patterns read in random chunks", async () => {
    const architecture = tinyArchitecture({ num_hidden_layers: 3 });
    const bundle = await syntheticBundle({ architecture, sets: { m: tinyMamba2(), n: tinyMamba2({ num_kv_heads: 1, norm_groups: 4 }) } });
    const layer = fc.constantFrom("attention", "mamba2:m", "mamba2:n");
    const chunks = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(layer, layer, layer), chunks, (layers, sizes) => expectParity(bundle, layers, TOKENS.slice(0, 20), [sizes])),
      { numRuns: 6 },
    );
  });

  it("gives the last position's logits alone unless asked for all", async () => {
    const bundle = await syntheticBundle({ architecture: oneLayer() });
    const config = bundle.config(["attention"]);
    const [all, last] = [await syntheticRunner(bundle, config), await syntheticRunner(bundle, config, { allLogits: false })];
    const everything = Float32Array.from(await all.forward(TOKENS.slice(0, 6)));
    expect(Array.from(await last.forward(TOKENS.slice(0, 6)))).toEqual(Array.from(everything.subarray(-160)));
  });
});

describe("the state", () => {
  it("survives growth of the cache, snapshots and truncation", async () => {
    const architecture = tinyArchitecture({ max_position_embeddings: 1024 });
    const bundle = await syntheticBundle({ architecture, sets: { m: tinyMamba2() } });
    for (const layers of [["attention", "mamba2:m"], ["attention", "attention"]]) {
      const config = bundle.config(layers);
      const runner = await syntheticRunner(bundle, config, { allLogits: false });
      const long = Array.from({ length: 300 }, (_, index) => (index * 7) % 160); // more than one step of the cache
      await runner.forward(long.slice(0, 200));
      await runner.saveSnapshot();
      const straight = Float32Array.from(await runner.forward(long.slice(200)));
      await runner.forward([1, 2, 3]);
      await runner.restoreSnapshot();
      expect(runner.position).toBe(200);
      expect(Array.from(await runner.forward(long.slice(200)))).toEqual(Array.from(straight));
      if (runner.canTruncate) {
        runner.truncate(250);
        expect(runner.position).toBe(250);
        const after = Float32Array.from(await runner.forward(long.slice(250)));
        expect(difference(after, Array.from(straight))).toBeLessThan(1e-5);
      } else {
        expect(() => runner.truncate(250)).toThrow(/recurrent/);
      }
      await runner.dispose();
    }
  });

  it("grows as the accounting predicts", async () => {
    const { accountFor, stateBytes } = await import("@/lib/hybrid/accounting");
    const bundle = await syntheticBundle({ architecture: tinyArchitecture(), sets: { m: tinyMamba2() } });
    const config = bundle.config(["attention", "mamba2:m"]);
    const runner = await syntheticRunner(bundle, config);
    const account = accountFor(config, bundle.manifest.mixer_sets);
    for (const count of [1, 4, 20]) {
      await runner.forward(TOKENS.slice(0, count));
      const { kvBytes, stateBytes: mamba } = runner.memory();
      expect(kvBytes).toBe(account.kvBytesPerToken * runner.position);
      expect(kvBytes + mamba).toBe(stateBytes(account, runner.position));
    }
  });
});
