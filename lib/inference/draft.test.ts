import { describe, expect, it } from "vitest";
import { accountFor, stateBytes } from "@/lib/hybrid/accounting";
import { ReferenceModel } from "@/lib/onnx/reference";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { syntheticRunner } from "./testing";

const TOKENS = Array.from({ length: 24 }, (_, index) => (index * 37 + 11) % 160);

describe("a draft's graph on WebAssembly, against the float64 reference", () => {
  const drafts = {
    "mamba2, narrow": { shape: { num_hidden_layers: 2, intermediate_size: 64 }, mixer: tinyMamba2({ form: "discrete", norm: "none" }) },
    "attention, one layer": { shape: { num_hidden_layers: 1, intermediate_size: 96 }, mixer: "attention" as const },
    "attention, wide": { shape: { num_hidden_layers: 2, intermediate_size: 160 }, mixer: "attention" as const },
  };
  it.each(Object.entries(drafts))("%s", async (_, draft) => {
    for (const tied of [true, false]) {
      const architecture = tinyArchitecture({ num_hidden_layers: 4, tie_word_embeddings: tied });
      const bundle = await syntheticBundle({ architecture, drafts: { draft }, codec: "q4_0" });
      const config = bundle.config(bundle.manifest.variants.draft!.layers);
      const reference = new ReferenceModel(config, bundle.manifest.mixer_sets, (name) => bundle.values(config, name)).run(TOKENS).flat();
      const runner = await syntheticRunner(bundle, config);
      for (const size of [24, 1, 5]) {
        runner.reset();
        const logits: number[] = [];
        for (let begin = 0; begin < TOKENS.length; begin += size) logits.push(...(await runner.forward(TOKENS.slice(begin, begin + size))));
        const worst = logits.reduce((most, value, index) => Math.max(most, Math.abs(value - (reference[index] ?? NaN))), 0);
        expect(logits).toHaveLength(reference.length);
        expect(worst).toBeLessThan(1e-3);
      }
      const { kvBytes, stateBytes: recurrent } = runner.memory();
      expect(kvBytes + recurrent).toBe(stateBytes(accountFor(config, bundle.manifest.mixer_sets), TOKENS.length));
      await runner.dispose();
    }
  });
});
