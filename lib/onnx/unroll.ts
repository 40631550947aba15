/** Several decoding steps in one graph: each step takes the states that the one before left, and the token that it chose. */
import type { HybridConfig } from "@/lib/hybrid/config";
import type { Manifest } from "@/lib/weights/manifest";
import { type BuildOptions, decoder, EMBEDDING, WANTED_HIDDEN } from "./build";
import { type Attribute, GraphWriter } from "./graph-writer";
import { passNames, windowAfter } from "./mamba2";
import { BYTES_PER_ELEMENT, type Dimension, FEATURES, type GraphPlan, HIDDEN_STATES, type Initialiser, INPUT_IDS, LOGIT_ROWS, LOGITS, SEQLENS_K, type TensorType, TOTAL_SEQUENCE_LENGTH, type WeightSource } from "./plan";

/** Outputs: the tokens that the steps chose, int32 (1, steps), and the softmax's share of each, float32 (1, steps). */
export const DRAFT_IDS = "draft_ids";
export const DRAFT_PROBABILITIES = "draft_probabilities";

/** The attention's lengths in step 1, 2, …: inputs in place of those of a single pass. */
export const stepLengths = (step: number): { readonly seqlens: string; readonly total: string } => ({ seqlens: `${SEQLENS_K}.${step}`, total: `${TOTAL_SEQUENCE_LENGTH}.${step}` });

export type UnrolledPlan = Pick<GraphPlan, "model" | "outputs" | "initialisers" | "weightBytes" | "nodeCount"> & {
  readonly steps: number;
  /** Weights that are inputs of the graph, so that graphs of different lengths can have them in common: the embedding, most of a small draft. */
  readonly shared: readonly Initialiser[];
};

/**
 * The graph that reads `input_ids` and then, greedily, `steps - 1` tokens of its own choice. For what may be taken back it is one pass of that
 * many tokens: it has the inputs of `single`, the plan of the same model with `rollback`, and its outputs but the logits, the hidden states and the states
 * behind all tokens. A feature draft's own choices are read with its own hidden states as features.
 */
export function buildUnrolled(manifest: Manifest, config: HybridConfig, single: GraphPlan, options: Omit<BuildOptions, "rollback" | "allLogits" | "choices">, steps: number): UnrolledPlan {
  const whole = new GraphWriter();
  const count = options.headTokens?.length ?? config.architecture.vocab_size;
  const ids = Int32Array.from(options.headTokens ?? Array.from({ length: count }, (_, token) => token));
  const tokens = whole.weight("draft_tokens", "int32", [count], { kind: "data", data: ids });
  const shared = new Map<string, Initialiser>();
  const chain: StepWriter[] = [];
  const chosen: string[] = [];
  for (let step = 1; step <= steps; step++) {
    const wires = wiresOf(whole, single, step, step === steps, chain.at(-1), chosen.at(-1));
    const writer = new StepWriter(whole, step, wires, shared);
    decoder(writer, manifest, config, step === 1 ? { ...options, rollback: true } : { ...options, allLogits: true });
    const column = whole.node("ArgMax", [writer.outside(LOGITS)], [`step_${step}/column`], { axis: -1, keepdims: 0 });
    chosen.push(whole.node("Gather", [tokens, column], [`step_${step}/token`], { axis: 0 }));
    chain.push(writer);
  }
  join(whole, chosen, whole.output(DRAFT_IDS, "int32", [1, steps]));
  const logits = steps === 1 ? chain[0]!.outside(LOGITS) : join(whole, chain.map((writer) => writer.outside(LOGITS)), "draft_logits");
  const shares = whole.node("Softmax", [logits], ["draft_shares"], { axis: -1 });
  whole.node("ReduceMax", [shares, whole.shape([-1])], [whole.output(DRAFT_PROBABILITIES, "float32", [1, steps])], { keepdims: 0 });
  addOutputs(whole, single, chain);
  const initialisers = whole.weights;
  return { model: whole.serialise(), outputs: whole.outputs, initialisers, weightBytes: initialisers.reduce((sum, { bytes }) => sum + bytes, 0), nodeCount: whole.nodeCount, steps, shared: [...shared.values()] };
}

/** What a step's inputs are in the whole graph, and under which names it gives its outputs. */
function wiresOf(whole: GraphWriter, { state, rollback, attentionLengths }: GraphPlan, step: number, last: boolean, before: StepWriter | undefined, token: string | undefined): Map<string, string> {
  const wires = new Map<string, string>();
  if (attentionLengths) {
    const { seqlens, total } = stepLengths(step);
    wires.set(SEQLENS_K, whole.input(seqlens, "int32", [1])).set(TOTAL_SEQUENCE_LENGTH, whole.input(total, "int32", []));
  }
  if (last) for (const { output } of state) wires.set(output, output);
  if (!before || token === undefined) {
    wires.set(LOGIT_ROWS, whole.shape([-1]));
    for (const layer of rollback ?? []) wires.set(layer.state.replayed, layer.state.replayed);
    return wires;
  }
  wires.set(INPUT_IDS, token);
  wires.set(FEATURES, before.outside(step === 2 ? WANTED_HIDDEN : HIDDEN_STATES));
  for (const { input, output } of state) wires.set(input, before.outside(output));
  for (const { layer, state: ssm } of rollback ?? []) {
    wires.set(ssm.input, before.outside(ssm.output));
    wires.set(`past_conv.${layer}`, before.outside(step === 2 ? windowAfter(layer) : `present_conv.${layer}`));
  }
  return wires;
}

/** The last step's caches, the first one's replayed states, and the inputs of all steps' recurrences, one after the other. */
function addOutputs(whole: GraphWriter, { state, rollback }: GraphPlan, chain: readonly StepWriter[]): void {
  for (const { output, shape } of state) whole.output(output, "float32", shape.map((size) => (size === "past" ? "total" : size)));
  for (const { layer, state: ssm, inputs, window } of rollback ?? []) {
    whole.output(ssm.replayed, "float32", ssm.shape);
    const widths = new Map([...inputs, ...(window ? [window] : [])].map(({ output, width }) => [output, width]));
    for (const [inner, output] of Object.entries(passNames(layer))) {
      const width = widths.get(output);
      if (width === undefined) continue;
      const parts = chain.map((writer, index) => writer.outside(index === 0 ? output : `model.layers.${layer}.mamba/${inner}`));
      join(whole, parts, whole.output(output, "float32", [1, "tokens", width]));
    }
  }
}

function join(whole: GraphWriter, parts: readonly string[], name: string): string {
  return whole.node("Concat", parts, [name], { axis: 1 });
}

/** The whole embedding's parts; a shortlist of it is the head's own. */
const isShared = (name: string): boolean => name.startsWith(`${EMBEDDING}.`) && !name.startsWith(`${EMBEDDING}.shortlist`);

/** Writes a step into the whole graph: weights are shared, wired names are replaced, and the step's own values bear its number. */
class StepWriter extends GraphWriter {
  private readonly constants = new Set<string>();

  constructor(
    private readonly whole: GraphWriter,
    private readonly step: number,
    private readonly wires: Map<string, string>,
    private readonly shared: Map<string, Initialiser>,
  ) {
    super();
  }

  /** The first step's inputs are the graph's; a later one has none of its own. */
  override input(name: string, type: TensorType, shape: readonly Dimension[]): string {
    if (this.wires.has(name)) return name;
    if (this.step > 1) throw new Error(`Nothing of step ${this.step - 1} goes into "${name}".`);
    this.wires.set(name, this.whole.input(name, type, shape));
    return name;
  }

  override output(name: string): string {
    return name;
  }

  override weight(name: string, type: TensorType, shape: readonly number[], source: WeightSource): string {
    this.constants.add(name);
    if (!isShared(name)) return this.whole.weight(name, type, shape, source);
    if (!this.shared.has(name)) {
      const bytes = shape.reduce((product, size) => product * size, BYTES_PER_ELEMENT[type]);
      this.shared.set(name, { name: this.whole.input(name, type, shape), type, shape, bytes, source });
    }
    return name;
  }

  override node(operator: string, inputs: readonly string[], outputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): string {
    this.whole.node(operator, inputs.map((name) => this.outside(name)), outputs.map((name) => this.outside(name)), attributes, domain);
    return outputs[0] ?? "";
  }

  /** The name in the whole graph of one of the step's. */
  outside(name: string): string {
    return name === "" || this.constants.has(name) ? name : (this.wires.get(name) ?? `step_${this.step}/${name}`);
  }
}
