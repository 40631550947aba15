import { describe, expect, it } from "vitest";
import type { HybridConfig } from "@/lib/hybrid/config";
import type { Mamba2Config } from "@/lib/hybrid/mamba2";
import { buildGraph } from "@/lib/onnx/build";
import { CHOICE_COLUMNS, CHOICE_MAXIMA, choiceSegment, FEATURES, INPUT_IDS, LOGIT_ROWS, type GraphPlan, LOGITS, SEQLENS_K, TOTAL_SEQUENCE_LENGTH } from "@/lib/onnx/plan";
import { syntheticBundle, type SyntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { buildUnrolled, DRAFT_IDS, DRAFT_PROBABILITIES, stepLengths } from "@/lib/onnx/unroll";
import { best } from "./sampler";
import { probabilityOf } from "./speculative/probability";
import { runGraph, syntheticRunner, type TestTensor } from "./testing";
import { choicesOf } from "./webgpu-chain";

const VOCABULARY = 160;
const CAPACITY = 32;
const WIDTH = 64;
const headTokens = Uint32Array.from({ length: 96 }, (_, column) => (column * 37 + 11) % VOCABULARY);
const news = [17, 93];
const int = (type: "int64" | "int32", values: number[], shape = [values.length]): TestTensor => ({ type, values, shape });
const zeros = (shape: readonly number[]): TestTensor => ({ type: "float32", shape, values: new Array<number>(shape.reduce((product, size) => product * size, 1)).fill(0) });
const far = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? NaN))), 0);

/** The inputs of a graph before the first token: empty states and caches. */
function emptyState({ state, rollback }: GraphPlan): Record<string, TestTensor> {
  const feeds: Record<string, TestTensor> = {};
  for (const { input, shape } of state) feeds[input] = zeros(shape.map((size) => (typeof size === "number" ? size : CAPACITY)));
  for (const { state: ssm, inputs, window } of rollback ?? []) {
    feeds[ssm.input] = zeros(ssm.shape);
    for (const { input, width } of inputs) feeds[input] = zeros([1, 1, width]);
    if (window) feeds[window.input] = zeros([1, window.rows, window.width]);
  }
  return feeds;
}

/** What a pass over `count` tokens gives besides ids. */
function passOutputs({ state, rollback }: GraphPlan, count: number): Record<string, Omit<TestTensor, "values">> {
  const outputs: Record<string, Omit<TestTensor, "values">> = {};
  for (const { output, shape } of state) outputs[output] = { type: "float32", shape: shape.map((size) => (typeof size === "number" ? size : CAPACITY)) };
  for (const { state: ssm, inputs, window } of rollback ?? []) {
    outputs[ssm.replayed] = { type: "float32", shape: ssm.shape };
    for (const { output, width } of [...inputs, ...(window ? [window] : [])]) outputs[output] = { type: "float32", shape: [1, count, width] };
  }
  return outputs;
}

/** Runs the unrolled graph, and what it reads in one pass of the plain graph. `features`: of all these tokens, for a feature draft. */
async function unrolled(bundle: SyntheticBundle, config: HybridConfig, steps: number, format: "f32" | "quantised", features: readonly number[] = []) {
  const options = { format, provider: "wasm", headTokens } as const;
  const single = buildGraph(bundle.manifest, config, { ...options, rollback: true });
  const lengths = (place: number, { seqlens, total }: ReturnType<typeof stepLengths>) => (single.attentionLengths ? { [seqlens]: int("int32", [place - 1]), [total]: int("int32", [place], []) } : {});
  const featuresFor = (count: number): Record<string, TestTensor> => (features.length > 0 ? { [FEATURES]: { type: "float32", shape: [1, count, WIDTH], values: features.slice(0, count * WIDTH) } } : {});
  const feeds = { [INPUT_IDS]: int("int64", news, [1, news.length]), ...featuresFor(news.length), ...emptyState(single) };
  for (let step = 1; step <= steps; step++) Object.assign(feeds, lengths(news.length + step - 1, stepLengths(step)));
  const count = news.length + steps - 1;
  const own = { [DRAFT_IDS]: { type: "int32", shape: [1, steps] }, [DRAFT_PROBABILITIES]: { type: "float32", shape: [1, steps] } } as const;
  const found = await runGraph(bundle, config, buildUnrolled(bundle.manifest, config, single, options, steps), feeds, { ...own, ...passOutputs(single, count) });
  const drafts = found[DRAFT_IDS]!;
  // The same tokens in one pass of the plain graph: what it gives out to take tokens back must be the same.
  const tokens = [...news, ...drafts.slice(0, -1)];
  const rows = int("int64", [0]);
  const inputs = { [INPUT_IDS]: int("int64", tokens, [1, count]), [LOGIT_ROWS]: rows, ...featuresFor(count), ...emptyState(single), ...lengths(count, { seqlens: SEQLENS_K, total: TOTAL_SEQUENCE_LENGTH }) };
  const expected = await runGraph(bundle, config, single, inputs, { [LOGITS]: { type: "float32", shape: [1, 1, headTokens.length] }, ...passOutputs(single, count) });
  return { drafts, shares: found[DRAFT_PROBABILITIES]!, found, expected, names: Object.keys(passOutputs(single, count)) };
}

const forms: Record<string, Partial<Mamba2Config>> = { "grouped ssd with a window": {}, "discrete without window, gate and norm": { form: "discrete", conv_kernel: 0, gate: false, norm: "none" } };
const patterns = [["mamba2:m", "mamba2:m"], ["attention", "mamba2:m"], ["attention", "attention"]];

describe.each(Object.entries(forms))("steps in one graph, %s", (_, form) => {
  it.each(patterns)("choose what single steps choose, and leave what they leave, with %s, %s", async (...layers) => {
    for (const codec of ["q8_0", "q4_1"] as const) {
      const bundle = await syntheticBundle({ architecture: tinyArchitecture(), sets: { m: tinyMamba2(form) }, codec });
      const config = bundle.config(layers);
      for (const [steps, format] of [[1, "f32"], [2, "quantised"], [5, "f32"], [8, "quantised"]] as const) {
        const { drafts, shares, found, expected, names } = await unrolled(bundle, config, steps, format);
        const stepwise = await syntheticRunner(bundle, config, { rollback: true, span: 16, headTokens, format });
        let read = news;
        for (let step = 0; step < steps; step++) {
          const logits = await stepwise.read(read, { rows: "last", more: true });
          const column = best(logits);
          expect(drafts[step]).toBe(headTokens[column]);
          expect(shares[step]).toBeCloseTo(probabilityOf(logits, column), 4);
          read = [headTokens[column]!];
        }
        await stepwise.dispose();
        for (const name of names) expect(far(found[name]!, expected[name]!), name).toBeLessThan(1e-4);
      }
    }
  });
});

const mixers = { attention: "attention" as const, ...Object.fromEntries(Object.entries(forms).map(([name, form]) => [name, tinyMamba2(form)])) };
it.each(Object.entries(mixers))("a feature draft's steps in one graph go on from its own hidden states, %s", async (_, mixer) => {
  const bundle = await syntheticBundle({ architecture: tinyArchitecture(), drafts: { draft: { shape: { num_hidden_layers: 1, intermediate_size: 96, features: true }, mixer } }, codec: "q8_0" });
  const config = bundle.config(bundle.manifest.variants.draft!.layers);
  const given = Float32Array.from({ length: news.length * WIDTH }, (_, index) => Math.sin(index * 78.233));
  for (const [steps, format] of [[1, "f32"], [2, "quantised"], [3, "f32"], [8, "quantised"]] as const) {
    const stepwise = await syntheticRunner(bundle, config, { rollback: true, span: 16, headTokens, format });
    const [chosen, chances, features]: [number[], number[], number[]] = [[], [], [...given]];
    let [read, own]: [number[], Float32Array] = [news, given];
    for (let step = 0; step < steps; step++) {
      const logits = await stepwise.read(read, { rows: "last", more: true, features: own });
      const column = best(logits);
      chosen.push(headTokens[column]!);
      chances.push(probabilityOf(logits, column));
      own = stepwise.hiddenStates!.before(stepwise.position, 1);
      features.push(...own);
      read = [headTokens[column]!];
    }
    await stepwise.dispose();
    const { drafts, shares, found, expected, names } = await unrolled(bundle, config, steps, format, features);
    expect(drafts).toEqual(chosen);
    expect(far(shares, chances)).toBeLessThan(1e-4);
    for (const name of names) expect(far(found[name]!, expected[name]!), name).toBeLessThan(1e-4);
  }
});

it("the choices of a target's rows are the best of their logits", async () => {
  expect([choiceSegment(49_152), choiceSegment(4096), choiceSegment(VOCABULARY), choiceSegment(401)]).toEqual([256, 256, 160, 401]);
  for (const vocab_size of [4096, 480]) {
    const bundle = await syntheticBundle({ architecture: tinyArchitecture({ vocab_size }), sets: { m: tinyMamba2() } });
    const config = bundle.config(["mamba2:m", "mamba2:m"]);
    const plan = buildGraph(bundle.manifest, config, { format: "f32", provider: "wasm", rollback: true, choices: true });
    const segment = choiceSegment(vocab_size);
    const segments = vocab_size / segment;
    const tokens = [3, 90, 41, 8];
    const rows = tokens.length;
    const feeds = { [INPUT_IDS]: int("int64", tokens, [1, rows]), [LOGIT_ROWS]: int("int64", [0, 1, 2, 3]), ...emptyState(plan) };
    const shape = [1, rows, segments];
    const found = await runGraph(bundle, config, plan, feeds, { [LOGITS]: { type: "float32", shape: [1, rows, vocab_size] }, [CHOICE_COLUMNS]: { type: "int64", shape }, [CHOICE_MAXIMA]: { type: "float32", shape } });
    const choices = choicesOf(BigInt64Array.from(found[CHOICE_COLUMNS]!, BigInt), Float32Array.from(found[CHOICE_MAXIMA]!), segments, segment);
    expect(choices).toEqual(tokens.map((_, row) => best(Float32Array.from(found[LOGITS]!.slice(row * vocab_size, (row + 1) * vocab_size)))));
  }
});

it("of equal choices the first is taken", () => {
  expect(choicesOf(BigInt64Array.of(4n, 2n, 1n, 7n, 0n, 0n), Float32Array.of(1, 3, 3, -2, -2, -5), 3, 10)).toEqual([12, 7]);
});
