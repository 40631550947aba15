/** Drafts that the trainer trained and exported (trainer/tests/draft_fixture.py), against the logits that PyTorch computed. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { HybridConfig } from "@/lib/hybrid/config";
import type { StoredTensor } from "@/lib/onnx/expand";
import { ReferenceModel } from "@/lib/onnx/reference";
import { decodeTensor, type TensorBytes } from "@/lib/weights/codecs";
import { hybridConfigOf, parseManifest, resolveTensor, tensorParts } from "@/lib/weights/manifest";
import { syntheticRunner } from "./testing";

const read = (name: string) => readFile(fileURLToPath(new URL(`fixtures/drafts/${name}`, import.meta.url)));
const json = async (name: string): Promise<unknown> => JSON.parse((await read(name)).toString("utf8"));

const manifest = parseManifest(await json("manifest.json"));
/** Rows as base64 of float32. `features`: those of `tokens` from the family's teacher, for the drafts `on_features`. */
const recorded = (await json("logits.json")) as {
  tokens: number[];
  logits: Record<string, string>;
  features: string;
  on_features: Record<string, { hidden_states: string; logits: string }>;
};
const shards = new Map(await Promise.all(Object.keys(manifest.files).map(async (name) => [name, await read(name)] as const)));

function stored(config: HybridConfig, name: string): StoredTensor {
  const entry = resolveTensor(manifest, config, name);
  const parts: Partial<Record<keyof TensorBytes, Uint8Array>> = {};
  for (const { part, range } of tensorParts(entry)) parts[part] = Uint8Array.from(shards.get(entry.file)!.subarray(...range));
  return { codec: entry.codec, shape: entry.shape, parts };
}

const floats = (rows: string): Float32Array => new Float32Array(Uint8Array.from(Buffer.from(rows, "base64")).buffer);

const worst = (found: ArrayLike<number>, expected: Float32Array): number => {
  expect(found.length).toBe(expected.length);
  return expected.reduce((most, value, index) => Math.max(most, Math.abs(value - (found[index] ?? NaN))), 0);
};

function referenceModel(config: HybridConfig): ReferenceModel {
  return new ReferenceModel(config, manifest.mixer_sets, (tensor) => {
    const { codec, shape, parts } = stored(config, tensor);
    return decodeTensor(codec, shape, parts);
  });
}

it.each(Object.keys(recorded.logits))("%s gives PyTorch's logits", async (name) => {
  const expected = floats(recorded.logits[name]!);
  expect(Math.max(...expected)).toBeGreaterThan(0.5);
  const config = hybridConfigOf(manifest, name);
  expect(worst(referenceModel(config).run(recorded.tokens).flat(), expected)).toBeLessThan(1e-4);
  const runner = await syntheticRunner({ manifest, stored }, config);
  expect(worst(await runner.forward(recorded.tokens), expected)).toBeLessThan(1e-3);
  await runner.dispose();
});

it("the target's hidden states are PyTorch's", async () => {
  const runner = await syntheticRunner({ manifest, stored }, hybridConfigOf(manifest, "teacher"), { hidden: true });
  await runner.forward(recorded.tokens);
  expect(worst(runner.hiddenStates!.before(0, recorded.tokens.length), floats(recorded.features))).toBeLessThan(1e-3);
  await runner.dispose();
});

it.each(Object.keys(recorded.on_features))("%s, on the target's features, gives PyTorch's logits and hidden states", async (name) => {
  const { tokens } = recorded;
  const config = hybridConfigOf(manifest, name);
  const width = config.architecture.hidden_size;
  const features = floats(recorded.features);
  const [logits, hidden] = [floats(recorded.on_features[name]!.logits), floats(recorded.on_features[name]!.hidden_states)];
  const model = referenceModel(config);
  const steps = tokens.map((token, index) => model.step(token, features.subarray(index * width, (index + 1) * width)));
  expect(worst(steps.flatMap((step) => step.logits), logits)).toBeLessThan(1e-4);
  expect(worst(steps.flatMap((step) => step.hidden), hidden)).toBeLessThan(1e-4);
  // Without its features it says something else.
  const blind = referenceModel(config);
  expect(worst(tokens.flatMap((token) => blind.step(token, new Float32Array(width)).logits), logits)).toBeGreaterThan(1e-2);

  const runner = await syntheticRunner({ manifest, stored }, config);
  const begin = 13;
  const first = [...(await runner.forward(tokens.slice(0, begin), features.slice(0, begin * width)))];
  const rest = await runner.forward(tokens.slice(begin), features.slice(begin * width));
  expect(worst([...first, ...rest], logits)).toBeLessThan(1e-3);
  expect(worst(runner.hiddenStates!.before(1, tokens.length), hidden)).toBeLessThan(1e-3);
  await expect(runner.forward([1])).rejects.toThrow("takes 1 x");
  await runner.dispose();
});
