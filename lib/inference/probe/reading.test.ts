import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareDistributions } from "@/lib/evaluation/comparison";
import { Distributions } from "@/lib/evaluation/distributions";
import type { Comparison } from "@/lib/evaluation/types";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { ReferenceModel } from "@/lib/onnx/reference";
import { type SyntheticBundle, syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { syntheticRunner } from "../testing";
import { type Call, simpleCall } from "./call";
import { Reading } from "./reading";
import { syntheticParts } from "./testing";

const TOKENS = Array.from({ length: 70 }, (_, index) => (index * 37 + 11) % 160); // more than one chunk of the head
const TOLERANCE = 1e-3; // float32 against float64
const call = simpleCall();

type Kit = { bundle: SyntheticBundle; reading: Reading; reopen: (tokens?: readonly number[]) => Promise<Reading> };

async function kitOf(bundle: SyntheticBundle, tokens: readonly number[]): Promise<Kit> {
  const { device, parts } = await syntheticParts(bundle);
  const reopen = (other: readonly number[] = tokens): Promise<Reading> => Reading.read(device, parts, bundle.manifest, other, call);
  return { bundle, reopen, reading: await reopen() };
}

async function comparisonOf(reading: Reading, layers: readonly string[], by: Call = call): Promise<Comparison> {
  await reading.follow(layers, by);
  const { student, kl } = await reading.compareTrace(by);
  return compareDistributions(layers, reading.teacher, student, kl);
}

/** Log-softmax of rows of logits, in float64. */
function logProbabilities(rows: readonly (readonly number[])[]): number[][] {
  return rows.map((row) => {
    const highest = Math.max(...row);
    const normaliser = highest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - highest), 0));
    return row.map((value) => value - normaliser);
  });
}

const likeliest = (row: readonly number[]): number[] => row.map((_, id) => id).sort((a, b) => row[b]! - row[a]! || a - b);

/** Everything that a comparison tells, from the two reference models alone. */
function expectAsReference(found: Comparison, bundle: SyntheticBundle, layers: readonly string[], tokens: readonly number[]): void {
  const model = (specs: readonly string[]): number[][] => {
    const config = bundle.config(specs);
    const decoded = new Map<string, Float32Array>();
    const values = (name: string): Float32Array => {
      const known = decoded.get(name) ?? bundle.values(config, name);
      decoded.set(name, known);
      return known;
    };
    return logProbabilities(new ReferenceModel(config, bundle.manifest.mixer_sets, values).run(tokens));
  };
  const [teacher, student] = [model(layers.map(() => "attention")), model(layers)];
  tokens.forEach((_, t) => {
    const [p, q] = [teacher[t]!, student[t]!];
    const kl = p.reduce((sum, value, id) => sum + Math.exp(value) * (value - q[id]!), 0);
    expect(Math.abs(found.kl[t]! - kl)).toBeLessThan(TOLERANCE);
    for (const [top, row] of [[found.teacherTop, p], [found.top, q]] as const) {
      const best = likeliest(row);
      for (let place = 0; place < 5; place++) {
        const id = top.ids[t * 5 + place]!;
        expect(Math.abs(top.probabilities[t * 5 + place]! - Math.exp(row[id]!))).toBeLessThan(TOLERANCE);
        expect(Math.abs(row[id]! - row[best[place]!]!)).toBeLessThan(TOLERANCE); // the same token, or one as likely
      }
    }
    const next = tokens[t + 1];
    if (next === undefined) return expect([found.logProbability[t], found.teacherLogProbability[t]]).toEqual([NaN, NaN]);
    expect(Math.abs(found.logProbability[t]! - q[next]!)).toBeLessThan(TOLERANCE);
    expect(Math.abs(found.teacherLogProbability[t]! - p[next]!)).toBeLessThan(TOLERANCE);
  });
}

const mixed = async (): Promise<SyntheticBundle> =>
  syntheticBundle({ architecture: tinyArchitecture({ num_hidden_layers: 3 }), sets: { m: tinyMamba2(), d: tinyMamba2({ form: "discrete", gate: false, norm: "none" }) }, codec: "q8_0" });

describe("a text read in parts, against the float64 reference", () => {
  it("the teacher and hybrids of several sets", async () => {
    const { bundle, reading } = await kitOf(await mixed(), TOKENS);
    for (const layers of [["attention", "mamba2:m", "attention"], ["mamba2:d", "mamba2:m", "mamba2:d"]]) {
      const found = await comparisonOf(reading, layers);
      expect(found.totals.kl).toBeGreaterThan(0.01);
      expectAsReference(found, bundle, layers, TOKENS);
    }
    const same = await comparisonOf(reading, ["attention", "attention", "attention"]);
    expect([same.totals.kl, same.totals.agreement]).toEqual([0, 1]);
    reading.dispose();
  });

  const mixers: Record<string, Partial<Mamba2Config>> = {
    "no convolution": { conv_kernel: 0 },
    "one group": { num_kv_heads: 1, norm_groups: 4 },
    "as many groups as heads, discrete": { form: "discrete", num_kv_heads: 4, conv_activation: "identity" },
  };
  it.each(Object.entries(mixers))("mamba2: %s", async (_, changes) => {
    const architecture = tinyArchitecture({ num_attention_heads: 9, num_key_value_heads: 3, tie_word_embeddings: false });
    const { bundle, reading } = await kitOf(await syntheticBundle({ architecture, sets: { m: tinyMamba2(changes) } }), TOKENS.slice(0, 20));
    const layers = ["mamba2:m", "attention"];
    expectAsReference(await comparisonOf(reading, layers), bundle, layers, TOKENS.slice(0, 20));
    reading.dispose();
  });

  it("a set that brings norms and MLP of its own", async () => {
    const bundle = await mixed();
    const own = bundle.manifest.mixer_sets.m!.tensors;
    for (const name of ["input_layernorm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]) {
      own[`model.layers.1.${name}.weight`] = bundle.manifest.base.tensors[`model.layers.2.${name}.weight`]!;
    }
    const { reading } = await kitOf(bundle, TOKENS.slice(0, 20));
    for (const layers of [["attention", "mamba2:m", "attention"], ["mamba2:m", "mamba2:d", "attention"]]) {
      expectAsReference(await comparisonOf(reading, layers), bundle, layers, TOKENS.slice(0, 20));
    }
    reading.dispose();
  });

  it("a text of one token has no perplexity", async () => {
    const { reading } = await kitOf(await mixed(), [7]);
    const { totals } = await comparisonOf(reading, ["mamba2:m", "attention", "attention"]);
    expect(totals).toMatchObject({ positions: 1, perplexity: null, teacherPerplexity: null, ratio: null });
    expect(totals.kl).toBeGreaterThan(0);
    reading.dispose();
  });
});

it("agrees with the whole model's graph", async () => {
  const { bundle, reading } = await kitOf(await mixed(), TOKENS);
  for (const layers of [["attention", "attention", "attention"], ["mamba2:m", "attention", "mamba2:d"]]) {
    const runner = await syntheticRunner(bundle, bundle.config(layers));
    const logits = Float32Array.from(await runner.forward(TOKENS));
    await runner.dispose();
    const whole = new Distributions(TOKENS);
    TOKENS.forEach((_, t) => whole.set(t, logits.subarray(t * 160, (t + 1) * 160)));
    const { logProbability } = await comparisonOf(reading, layers);
    logProbability.subarray(0, -1).forEach((value, t) => expect(Math.abs(value - whole.logProbability[t]!)).toBeLessThan(1e-4));
  }
  reading.dispose();
});

describe("what is kept between comparisons", () => {
  const spec = fc.constantFrom("attention", "mamba2:m", "mamba2:d");
  const patterns = fc.array(fc.tuple(spec, spec, spec), { minLength: 1, maxLength: 6 });

  it("any sequence of toggles, some of them cancelled, gives what a fresh reading gives, from the first layer that changed", async () => {
    const kit = await kitOf(await mixed(), TOKENS.slice(0, 12));
    await fc.assert(
      fc.asyncProperty(patterns, fc.array(fc.nat(4), { minLength: 6, maxLength: 6 }), async (sequence, cancelAt) => {
        const reading = await kit.reopen();
        for (const [index, layers] of sequence.entries()) {
          let steps = 0;
          const stopping: Call = { checkpoint: () => (steps++ === cancelAt[index] ? Promise.reject(new Error("stopped")) : Promise.resolve()) };
          const found = await comparisonOf(reading, layers, stopping).catch((error: Error) => error);
          if (found instanceof Error) {
            expect(found.message).toBe("stopped");
            continue;
          }
          const fresh = await kit.reopen();
          const expected = await comparisonOf(fresh, layers);
          expect(found).toEqual(expected);
          const sweep = await reading.compareReplaced(1, "mamba2:m", call); // does not disturb the trace
          expect(sweep.kl).toEqual((await comparisonOf(fresh, ["attention", "mamba2:m", "attention"])).kl);
          expect(await reading.follow(layers, call)).toBe(3);
          fresh.dispose();
        }
        reading.dispose();
      }),
      { numRuns: 12 },
    );
  });

  it("starts at the first change, or behind the attention layers that lead", async () => {
    const { reading } = await kitOf(await mixed(), TOKENS.slice(0, 12));
    const follow = (...layers: string[]): Promise<number> => reading.follow(layers, call);
    expect(await follow("attention", "mamba2:m", "attention")).toBe(1);
    expect(await follow("attention", "mamba2:m", "mamba2:m")).toBe(2);
    expect(await follow("attention", "mamba2:d", "mamba2:m")).toBe(1);
    expect(await follow("attention", "attention", "mamba2:m")).toBe(2);
    expect(await follow("attention", "attention", "attention")).toBe(3);
    expect(await follow("mamba2:m", "attention", "attention")).toBe(0);
    reading.dispose();
  });

  it("a reading that was thrown away says so", async () => {
    const { reading } = await kitOf(await mixed(), TOKENS.slice(0, 4));
    reading.dispose();
    await expect(reading.compareReplaced(0, "mamba2:m", call)).rejects.toThrow("replaced");
  });
});
