import { readdir, readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture, HybridConfig } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { buildGraph, type BuildOptions } from "@/lib/onnx/build";
import { ReferenceModel } from "@/lib/onnx/reference";
import { syntheticBundle, type SyntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import type { Codec } from "@/lib/weights/codec-size";
import { TestServer } from "@/lib/weights/testing/server";
import { Context } from "./context";
import { UnsupportedError } from "./errors";
import { HiddenStates } from "./hidden-states";
import { loadModel } from "./model";
import type { RollbackRunner } from "./runner";
import { nodeRuntime, syntheticRunner } from "./testing";

const VOCABULARY = 160;
const WIDTH = 64;
const SPAN = 6;
const TOKENS = Array.from({ length: 24 }, (_, index) => (index * 37 + 11) % VOCABULARY);

/** Numbers like a hidden state's, one row for each of these seeds. */
const featuresOf = (seeds: readonly number[]): Float32Array => Float32Array.from(seeds.flatMap((seed) => Array.from({ length: WIDTH }, (_, column) => Math.sin(1 + seed * 12.9898 + column * 78.233))));
const FEATURES = featuresOf(TOKENS.map((_, index) => index));

const far = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length);
  return Array.from(found).reduce((most, value, index) => Math.max(most, Math.abs(value - (expected[index] ?? NaN))), 0);
};

/** The hidden states of the first `count` tokens. */
const held = ({ hiddenStates }: RollbackRunner, count: number): Float32Array => hiddenStates!.before(1, count);

const mixers = { "ssd with a window": tinyMamba2(), "discrete, plain": tinyMamba2({ form: "discrete", conv_kernel: 0, gate: false, norm: "none" }), attention: "attention" as const };

function draftBundle(mixer: Mamba2Config | "attention", codec: Codec = "q8_0", count = 1, changes: Partial<Architecture> = {}): Promise<SyntheticBundle> {
  return syntheticBundle({ architecture: tinyArchitecture(changes), drafts: { draft: { shape: { num_hidden_layers: count, intermediate_size: 96, features: true }, mixer } }, codec });
}

const draftConfig = (bundle: SyntheticBundle): HybridConfig => bundle.config(bundle.manifest.variants.draft!.layers);

describe.each(Object.entries(mixers))("a feature draft, %s", (_, mixer) => {
  it("gives the float64 reference's logits and hidden states, in any chunks", async () => {
    for (const [codec, count, tied, format] of [["q4_0", 1, true, "f32"], ["q8_0", 2, false, "f32"], ["f16", 1, true, "f32"], ["q4_0", 1, true, "quantised"]] as const) {
      const bundle = await draftBundle(mixer, codec, count, { tie_word_embeddings: tied });
      const config = draftConfig(bundle);
      const reference = new ReferenceModel(config, bundle.manifest.mixer_sets, (name) => bundle.values(config, name));
      const expected = TOKENS.map((token, index) => reference.step(token, FEATURES.subarray(index * WIDTH, (index + 1) * WIDTH)));
      const bare = new ReferenceModel(config, bundle.manifest.mixer_sets, (name) => bundle.values(config, name)).run(TOKENS).flat();
      expect(far(bare, expected.flatMap(({ logits }) => logits))).toBeGreaterThan(0.1); // the features matter
      const runner = await syntheticRunner(bundle, config, { format });
      for (const size of [24, 1, 5]) {
        runner.reset();
        const logits: number[] = [];
        for (let begin = 0; begin < TOKENS.length; begin += size) logits.push(...(await runner.forward(TOKENS.slice(begin, begin + size), FEATURES.slice(begin * WIDTH, (begin + size) * WIDTH))));
        expect(far(logits, expected.flatMap((step) => step.logits))).toBeLessThan(1e-3);
        expect(far(held(runner, TOKENS.length), expected.flatMap(({ hidden }) => hidden))).toBeLessThan(1e-3);
      }
      await runner.dispose();
    }
  });

  it("takes tokens and their features back", async () => {
    const bundle = await draftBundle(mixer);
    const config = draftConfig(bundle);
    const [plain, rollback] = [await syntheticRunner(bundle, config, { allLogits: false }), await syntheticRunner(bundle, config, { rollback: true, span: SPAN })];
    const seed = fc.integer({ min: 0, max: VOCABULARY - 1 });
    const step = fc.oneof(
      fc.record({ good: fc.array(seed, { minLength: 1, maxLength: 8 }) }),
      fc.record({ passes: fc.array(fc.array(seed, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 }), keep: fc.integer({ min: 0, max: SPAN }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), seed, async (steps, last) => {
        rollback.reset();
        // A token's features are made from its own number and its place among those read, so that a mix-up of rows shows.
        const read: { token: number; seed: number }[] = [];
        let stamp = 0;
        const given = (tokens: readonly number[]) => tokens.map((token) => ({ token, seed: stamp++ % 97 }));
        for (const current of steps) {
          if ("good" in current) {
            const some = given(current.good);
            await rollback.forward(current.good, featuresOf(some.map((entry) => entry.seed)));
            read.push(...some);
            continue;
          }
          const { passes, keep } = current;
          const tentative: typeof read = [];
          for (const [index, tokens] of passes.entries()) {
            const some = given(tokens);
            await rollback.read(tokens, { rows: "all", more: index + 1 < passes.length, features: featuresOf(some.map((entry) => entry.seed)) });
            tentative.push(...some);
          }
          rollback.keep(Math.min(keep, tentative.length));
          read.push(...tentative.slice(0, keep));
        }
        plain.reset();
        for (const { token, seed: own } of read) await plain.forward([token], featuresOf([own]));
        const expected = Float32Array.from(await plain.forward([last], featuresOf([5])));
        const found = Float32Array.from(await rollback.read([last, last], { rows: "all", more: false, features: featuresOf([5, 6]) }));
        expect(far(found.subarray(0, VOCABULARY), expected)).toBeLessThan(1e-4);
        expect(far(held(rollback, read.length + 1), held(plain, read.length + 1))).toBeLessThan(1e-4);
        rollback.keep(0);
      }),
      { numRuns: 15 },
    );
    await Promise.all([plain.dispose(), rollback.dispose()]);
  });
});

describe("a target's hidden states", () => {
  const patterns = [["attention", "mamba2:m"], ["attention", "attention"]];
  const target = async (layers: readonly string[], options: Partial<BuildOptions> & { span?: number } = {}) => {
    const bundle = await syntheticBundle({ architecture: tinyArchitecture(), sets: { m: tinyMamba2() }, codec: "q8_0" });
    const config = bundle.config(layers);
    const model = new ReferenceModel(config, bundle.manifest.mixer_sets, (name) => bundle.values(config, name));
    const reference = TOKENS.flatMap((token) => model.step(token).hidden);
    return { reference, runner: await syntheticRunner(bundle, config, { hidden: true, ...options }) };
  };

  it.each(patterns)("are the reference's, whatever logits are asked for, with %s, %s", async (...layers) => {
    for (const options of [{ allLogits: true }, { allLogits: false }, { rollback: true, span: SPAN }]) {
      const { reference, runner } = await target(layers, options);
      for (const size of [24, 1, 5]) {
        runner.reset();
        for (let begin = 0; begin < TOKENS.length; begin += size) await runner.forward(TOKENS.slice(begin, begin + size));
        expect(far(held(runner, TOKENS.length), reference)).toBeLessThan(1e-3);
      }
      await runner.dispose();
    }
  });

  it.each(patterns)("are those of the tokens kept, through tentative passes and snapshots, with %s, %s", async (...layers) => {
    const { reference, runner } = await target(layers, { rollback: true, span: SPAN });
    const expectHeld = (count: number): void => expect(far(held(runner, count), reference.slice(0, count * WIDTH))).toBeLessThan(1e-3);
    await runner.forward(TOKENS.slice(0, 9));
    await runner.saveSnapshot();
    for (let round = 0; round < 2; round++) {
      await runner.read([...TOKENS.slice(9, 12), 1, 2], { rows: "all", more: false });
      runner.keep(3);
      await runner.read([TOKENS[12]!, 7, 8], { rows: "last", more: true });
      await runner.read([9], { rows: "last", more: false });
      runner.keep(1);
      expectHeld(13);
      expect(Array.from(runner.hiddenStates!.before(0, 1))).toEqual(new Array(WIDTH).fill(0));
      await runner.forward(TOKENS.slice(13, 16));
      expectHeld(16);
      const { snapshotBytes, reservedBytes } = runner.memory();
      expect(runner.hiddenStates!.snapshotBytes).toBe(4 * 9 * WIDTH);
      expect(snapshotBytes).toBeGreaterThanOrEqual(4 * 9 * WIDTH);
      expect(reservedBytes).toBeGreaterThan(runner.hiddenStates!.reservedBytes);
      await runner.forward([5, 4, 3]);
      await runner.restoreSnapshot();
      expectHeld(9);
    }
    await runner.dispose();
  });
});

it("a prompt read in chunks through a context, with the target's hidden states, gives what one pass gives", async () => {
  const bundle = await draftBundle(tinyMamba2());
  const config = draftConfig(bundle);
  const [whole, chunked] = [await syntheticRunner(bundle, config, { rollback: true, span: SPAN }), await syntheticRunner(bundle, config, { rollback: true, span: SPAN })];
  const features = new HiddenStates(256, WIDTH);
  features.write(0, FEATURES);
  const expected = Float32Array.from(await whole.forward(TOKENS, features.before(0, TOKENS.length)));
  const context = new Context<RollbackRunner>(chunked, (position, count) => features.before(position, count));
  const { logits } = await context.prefill(TOKENS, { chunk: 7 });
  expect(far(logits, expected)).toBeLessThan(1e-4);
  const longer = [...TOKENS, 3, 5];
  features.write(TOKENS.length, featuresOf([41, 42]));
  const { logits: next, reused } = await context.prefill(longer, { chunk: 7 });
  expect(reused).toBe(TOKENS.length);
  expect(far(next, await whole.forward([3, 5], features.before(TOKENS.length, 2)))).toBeLessThan(1e-4);
  await Promise.all([whole.dispose(), chunked.dispose()]);
});

describe("the graph", () => {
  it("costs a feature draft one product more, and hidden states nothing", async () => {
    const plain = await syntheticBundle({ architecture: tinyArchitecture(), drafts: { draft: { shape: { num_hidden_layers: 1, intermediate_size: 96 }, mixer: tinyMamba2() } } });
    const own = await draftBundle(tinyMamba2(), "f32");
    for (const rollback of [true, false]) {
      const nodes = (bundle: SyntheticBundle, hidden: boolean): number => buildGraph(bundle.manifest, draftConfig(bundle), { format: "f32", provider: "wasm", rollback, hidden }).nodeCount;
      expect(nodes(plain, true)).toBe(nodes(plain, false));
      expect(nodes(own, false)).toBe(nodes(plain, false) + 1);
    }
  });

  it("is not run without the features that it takes, nor with features that it does not", async () => {
    const bundle = await draftBundle(tinyMamba2());
    const runner = await syntheticRunner(bundle, draftConfig(bundle), { rollback: true, span: SPAN });
    expect(runner.takesFeatures).toBe(true);
    await expect(runner.forward([1, 2])).rejects.toThrow("takes 2 x 64 features; none were given");
    await expect(runner.read([1], { rows: "last", more: false, features: FEATURES })).rejects.toThrow("takes 1 x 64 features");
    expect(runner.position).toBe(0);
    await runner.warmUp();
    expect(runner.position).toBe(0);
    await runner.dispose();
    const target = await syntheticRunner(bundle, bundle.config(["attention", "attention"]));
    expect(target.hiddenStates).toBeNull();
    await expect(target.forward([1], featuresOf([1]))).rejects.toThrow("takes none");
    await target.dispose();
  });
});

it("is not loaded alone", async () => {
  const folder = new URL("fixtures/drafts/", import.meta.url);
  const names = await readdir(folder);
  const server = new TestServer(new Map(await Promise.all(names.map(async (name) => [name, new Uint8Array(await readFile(new URL(name, folder)))] as const))));
  const manifestUrl = `${await server.start()}manifest.json`;
  const none = { available: false, reason: "Node has no WebGPU.", adapter: null };
  const hooks = { runtimes: { wasm: () => nodeRuntime(), webgpu: () => Promise.reject(new Error(none.reason)) }, providers: { chosen: "wasm" as const, webgpu: none, wasm: { threads: 1, reason: "In Node." } } };
  for (const named of [{ variant: "eagle1" }, { pattern: "a~eagle1-attention" }]) {
    const loading = loadModel({ manifestUrl, ...named, provider: "wasm", precision: "auto", allLogits: false }, hooks);
    await expect(loading).rejects.toThrow(UnsupportedError);
    await expect(loading).rejects.toMatchObject({ message: expect.stringContaining("cannot run alone") as string, action: expect.stringContaining("Speculate") as string });
  }
  // Refused before anything is downloaded.
  expect(new Set(server.requests.map((request) => request.name))).toEqual(new Set(["manifest.json"]));
  await server.stop();
});
