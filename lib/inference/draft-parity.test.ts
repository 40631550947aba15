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
const recorded = (await json("logits.json")) as { tokens: number[]; logits: Record<string, string> };
const shards = new Map(await Promise.all(Object.keys(manifest.files).map(async (name) => [name, await read(name)] as const)));

function stored(config: HybridConfig, name: string): StoredTensor {
  const entry = resolveTensor(manifest, config, name);
  const parts: Partial<Record<keyof TensorBytes, Uint8Array>> = {};
  for (const { part, range } of tensorParts(entry)) parts[part] = Uint8Array.from(shards.get(entry.file)!.subarray(...range));
  return { codec: entry.codec, shape: entry.shape, parts };
}

const worst = (found: ArrayLike<number>, expected: Float32Array): number => {
  expect(found.length).toBe(expected.length);
  return expected.reduce((most, value, index) => Math.max(most, Math.abs(value - (found[index] ?? NaN))), 0);
};

it.each(Object.keys(recorded.logits))("%s gives PyTorch's logits", async (name) => {
  const bytes = Buffer.from(recorded.logits[name]!, "base64");
  const expected = new Float32Array(Uint8Array.from(bytes).buffer);
  expect(Math.max(...expected)).toBeGreaterThan(0.5);
  const config = hybridConfigOf(manifest, name);
  const values = (tensor: string): Float32Array => {
    const { codec, shape, parts } = stored(config, tensor);
    return decodeTensor(codec, shape, parts);
  };
  const reference = new ReferenceModel(config, manifest.mixer_sets, values).run(recorded.tokens).flat();
  expect(worst(reference, expected)).toBeLessThan(1e-4);
  const runner = await syntheticRunner({ manifest, stored }, config);
  expect(worst(await runner.forward(recorded.tokens), expected)).toBeLessThan(1e-3);
  await runner.dispose();
});
