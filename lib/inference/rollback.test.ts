import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { syntheticRunner } from "./testing";
import type { WasmRunner } from "./wasm-runner";

const VOCABULARY = 160;
const SPAN = 6;
const forms: Record<string, Partial<Mamba2Config>> = {
  "grouped ssd with a window": { form: "ssd" },
  "discrete without window, gate and norm": { form: "discrete", conv_kernel: 0, gate: false, norm: "none" },
};
const patterns = [["mamba2:m", "mamba2:m"], ["attention", "mamba2:m"], ["attention", "attention"]];

async function pair(form: Partial<Mamba2Config>, layers: string[]): Promise<[plain: WasmRunner, rollback: WasmRunner]> {
  const bundle = await syntheticBundle({ architecture: tinyArchitecture(), sets: { m: tinyMamba2(form) }, codec: "q8_0" });
  const config = bundle.config(layers);
  return [await syntheticRunner(bundle, config, { allLogits: false }), await syntheticRunner(bundle, config, { rollback: true, span: SPAN })];
}

const token = fc.integer({ min: 0, max: VOCABULARY - 1 });
/** Tokens read for good, or a span: passes of tentative tokens, of which some are kept. */
const step = fc.oneof(
  fc.record({ good: fc.array(token, { minLength: 1, maxLength: 8 }) }),
  fc.record({ passes: fc.array(fc.array(token, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 }), keep: fc.integer({ min: 0, max: SPAN }) }),
);

const far = (a: Float32Array, b: Float32Array): number => a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? NaN))), 0);

describe.each(Object.entries(forms))("taking tokens back, %s", (_, form) => {
  it.each(patterns)("leaves the state of plain steps with %s, %s", async (...layers) => {
    const [plain, rollback] = await pair(form, layers);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), token, async (steps, last) => {
        rollback.reset();
        const held: number[] = [];
        for (const current of steps) {
          if ("good" in current) {
            await rollback.forward(current.good);
            held.push(...current.good);
            continue;
          }
          const { passes, keep } = current;
          for (const [index, tokens] of passes.entries()) {
            const logits = await rollback.read(tokens, { rows: "all", more: index + 1 < passes.length });
            expect(logits.length).toBe(tokens.length * VOCABULARY);
          }
          const read = passes.flat();
          rollback.keep(Math.min(keep, read.length));
          held.push(...read.slice(0, keep));
          expect(rollback.position).toBe(held.length);
        }
        plain.reset();
        for (const one of held) await plain.forward([one]);
        const expected = Float32Array.from(await plain.forward([last]));
        const tentative = Float32Array.from(await rollback.read([last, last], { rows: "all", more: false }));
        expect(far(tentative.subarray(0, VOCABULARY), expected)).toBeLessThan(1e-4);
        rollback.keep(0);
        expect(far(await rollback.forward([last]), expected)).toBeLessThan(1e-4);
      }),
      { numRuns: 25 },
    );
    await Promise.all([plain.dispose(), rollback.dispose()]);
  });
});

const tiedAndNot = (["f32", "f16", "q8_0", "q4_0", "q4_1"] as const).flatMap((codec) => [true, false].map((tied) => [codec, tied] as const));
it.each(tiedAndNot)("a head of some tokens gives their logits in its order, from %s, tied: %s", async (codec, tied) => {
  const bundle = await syntheticBundle({ architecture: tinyArchitecture({ tie_word_embeddings: tied }), sets: { m: tinyMamba2() }, codec });
  const headTokens = Uint32Array.from({ length: 48 }, (_, column) => (column * 37 + 11) % VOCABULARY);
  const config = bundle.config(["mamba2:m", "attention"]);
  for (const format of ["f32", "quantised"] as const) {
    const whole = await syntheticRunner(bundle, config, { rollback: true, span: SPAN, format });
    const short = await syntheticRunner(bundle, config, { rollback: true, span: SPAN, headTokens, format });
    const tokens = [3, 90, 41];
    const expected = (await whole.read(tokens, { rows: "all", more: false })).slice();
    const found = await short.read(tokens, { rows: "all", more: false });
    expect(found.length).toBe(3 * 48);
    const wanted = Float32Array.from({ length: 3 * 48 }, (_, place) => expected[Math.floor(place / 48) * VOCABULARY + headTokens[place % 48]!]!);
    expect(far(found, wanted)).toBeLessThan(1e-5);
    await short.dispose();
    await whole.dispose();
  }
});

it("refuses more tentative tokens than the span, and reading for good before they are settled", async () => {
  const [, rollback] = await pair({}, ["attention", "mamba2:m"]);
  await rollback.forward([1, 2]);
  await expect(rollback.read([1, 2, 3, 4, 5, 6, 7], { rows: "last", more: false })).rejects.toThrow("the span is 6");
  await rollback.read([1, 2], { rows: "last", more: false });
  await expect(rollback.forward([3])).rejects.toThrow("kept or taken back");
  expect(() => rollback.keep(3)).toThrow("cannot be kept");
  rollback.keep(1);
  expect(rollback.position).toBe(3);
  const { checkpointBytes, statePerTokenBytes } = rollback.rollbackMemory();
  expect(statePerTokenBytes).toBe(SPAN * checkpointBytes);
  await rollback.dispose();
});
