/** From a bundle's manifest and a hybrid config to an ONNX model whose weights are references into the bundle. */
import { type HybridConfig, needsFeatures, resolveLayers } from "@/lib/hybrid/config";
import { FEATURES_PROJECTION, requiredTensors } from "@/lib/hybrid/tensors";
import { type Manifest, resolveTensor } from "@/lib/weights/manifest";
import { attentionMixer } from "./attention";
import { CONTRIB, GraphWriter } from "./graph-writer";
import { chooseRows, embedding, linear, type Matrix, type MatrixFormat } from "./linear";
import { mamba2Mixer, silu } from "./mamba2";
import { CHOICE_COLUMNS, CHOICE_MAXIMA, choiceSegment, FEATURES, type GraphPlan, HIDDEN_STATES, INPUT_IDS, LOGIT_ROWS, LOGITS, type RollbackLayer, SEQLENS_K, type StateTensor, TOTAL_SEQUENCE_LENGTH } from "./plan";

/** What will run the graph: the two have different kernels behind the same operators. */
export type Provider = "webgpu" | "wasm";

export type BuildOptions = {
  readonly format: MatrixFormat;
  readonly provider: Provider;
  /** Logits of every position instead of the last one only. */
  readonly allLogits?: boolean;
  /** Recurrent states that can be taken back by replay, and logits of the positions asked for; `allLogits` is then without effect. */
  readonly rollback?: boolean;
  /** Logits of these tokens only, in this order: a cheap head for a draft. */
  readonly headTokens?: Uint32Array | undefined;
  /** Besides logits their greatest, in segments (see CHOICE_COLUMNS), so that a greedy choice needs no more than these from the device. */
  readonly choices?: boolean;
  /** Besides logits the hidden states of every position, for a feature draft. A feature draft's graph has them always. */
  readonly hidden?: boolean;
  /** Positions the rotary tables cover; default the architecture's `max_position_embeddings`. */
  readonly contextLength?: number;
};

/** Looks up stored matrices by tensor name and stacks them by rows. */
export type MatrixLookup = (...tensors: string[]) => Matrix;

export const EMBEDDING = "model.embed_tokens.weight";
/** In a graph that can take tokens back: the hidden states of the positions asked for, (1, rows, D). */
export const WANTED_HIDDEN = "wanted_hidden";

/** Builds the graph of a hybrid. Throws what `resolveLayers` and `resolveTensor` throw for a config that the bundle does not have. */
export function buildGraph(manifest: Manifest, config: HybridConfig, options: BuildOptions): GraphPlan {
  const writer = new GraphWriter();
  const { state, rollback, attentionLengths } = decoder(writer, manifest, config, options);
  // The runtime repacks each weight into a new place a little larger than the old. With the greatest weight first, the place that it
  // frees takes the others; with it last, nearly each of them takes new memory (890 MB of heap instead of 712, for 570 MB of weights).
  writer.lastNodeFirst();
  if (options.choices) segmentChoices(writer, options.headTokens?.length ?? config.architecture.vocab_size);

  return {
    model: writer.serialise(),
    inputs: writer.inputs,
    outputs: writer.outputs,
    state,
    rollback,
    attentionLengths,
    initialisers: writer.weights,
    weightBytes: writer.weights.reduce((sum, { bytes }) => sum + bytes, 0),
    nodeCount: writer.nodeCount,
  };
}

type Decoder = Pick<GraphPlan, "state" | "rollback" | "attentionLengths">;

/** Adds the whole model, from ids to logits. */
export function decoder(writer: GraphWriter, manifest: Manifest, config: HybridConfig, options: BuildOptions): Decoder {
  const { architecture } = config;
  const { format, provider, rollback = false, headTokens } = options;
  const matrix = matrixLookup(manifest, config);
  const contextLength = options.contextLength ?? architecture.max_position_embeddings;
  const layers = resolveLayers(config, manifest.mixer_sets);
  const attentionLengths = layers.some(({ mixer }) => mixer === "attention");
  const features = needsFeatures(config, manifest.mixer_sets);
  const hidden = options.hidden || features;
  const hiddenShape = [1, "tokens", architecture.hidden_size];
  const state: StateTensor[] = [];
  const replayed: RollbackLayer[] = [];

  writer.input(INPUT_IDS, "int64", [1, "tokens"]);
  if (features) writer.input(FEATURES, "float32", hiddenShape);
  if (attentionLengths) {
    writer.input(SEQLENS_K, "int32", [1]);
    writer.input(TOTAL_SEQUENCE_LENGTH, "int32", []);
  }
  if (rollback) writer.input(LOGIT_ROWS, "int64", ["rows"]);
  writer.output(LOGITS, "float32", [1, rollback ? "rows" : options.allLogits ? "tokens" : 1, headTokens?.length ?? architecture.vocab_size]);
  if (hidden) writer.output(HIDDEN_STATES, "float32", hiddenShape);

  const norm = rmsNorm(writer, architecture.rms_norm_eps, architecture.hidden_size);
  let residual = embedding(writer, format, INPUT_IDS, matrix(EMBEDDING));
  // What the last block adds to the residual stream; before the first, a feature draft's features (the first norm's node adds them).
  let update: string | null = features ? linear(writer, format, FEATURES, matrix(FEATURES_PROJECTION)) : null;
  layers.forEach((resolved, layer) => {
    const prefix = `model.layers.${layer}`;
    const before = norm(`${prefix}.input_layernorm.weight`, residual, update);
    let mixed: string;
    if (resolved.mixer === "attention") {
      const mixer = attentionMixer(writer, format, matrix, layer, architecture, { contextLength, provider }, before.normed);
      state.push(...mixer.state);
      mixed = mixer.out;
    } else {
      const mixer = mamba2Mixer(writer, format, matrix, layer, resolved.config, before.normed, { rollback });
      state.push(...mixer.state);
      if (mixer.rollback) replayed.push(mixer.rollback);
      mixed = mixer.out;
    }
    const between = norm(`${prefix}.post_attention_layernorm.weight`, before.sum, mixed);
    update = mlp(writer, format, matrix, `${prefix}.mlp`, architecture.intermediate_size, between.normed);
    residual = between.sum;
  });
  let { normed } = norm("model.norm.weight", residual, update, hidden ? HIDDEN_STATES : undefined);
  if (rollback) normed = writer.node("Gather", [normed, LOGIT_ROWS], [WANTED_HIDDEN], { axis: 1 });
  else if (!options.allLogits) normed = writer.node("Gather", [normed, writer.shape([-1])], ["last_hidden"], { axis: 1 });
  const head = matrix(architecture.tie_word_embeddings ? EMBEDDING : "lm_head.weight");
  linear(writer, format, normed, headTokens ? chooseRows(head, headTokens) : head, LOGITS);
  return { state, rollback: rollback ? replayed : null, attentionLengths };
}

/** Each row's greatest logit in each segment, and its place there: both kernels go along a segment one by one, and over segments at once. */
function segmentChoices(writer: GraphWriter, width: number): void {
  const segment = choiceSegment(width);
  const shape = [1, "rows", width / segment];
  writer.node("Reshape", [LOGITS, writer.shape([1, -1, width / segment, segment])], ["logit_segments"]);
  writer.node("ArgMax", ["logit_segments"], [writer.output(CHOICE_COLUMNS, "int64", shape)], { axis: -1, keepdims: 0 });
  writer.node("ReduceMax", ["logit_segments", writer.shape([-1])], [writer.output(CHOICE_MAXIMA, "float32", shape)], { keepdims: 0 });
}

/** Matrices of one hybrid by name. */
export function matrixLookup(manifest: Manifest, config: HybridConfig): MatrixLookup {
  const shapes = new Map(requiredTensors(config, manifest.mixer_sets).map(({ name, shape }) => [name, shape]));
  return (...tensors) => {
    const [first] = tensors;
    if (first === undefined) throw new Error("A matrix needs at least one tensor.");
    let rows = 0;
    let columns = 0;
    for (const tensor of tensors) {
      const [height, width] = shapes.get(tensor) ?? [];
      if (height === undefined || width === undefined) throw new Error(`"${tensor}" is not a matrix of this hybrid.`);
      rows += height;
      columns = width;
    }
    const codecs = tensors.map((tensor) => resolveTensor(manifest, config, tensor).codec);
    return { name: tensors.length === 1 ? first : stackedName(tensors), tensors, codecs, rows, columns };
  };
}

/** `….self_attn.{q_proj+k_proj+v_proj}`: the common prefix and what differs. */
function stackedName(tensors: readonly string[]): string {
  const split = tensors.map((tensor) => tensor.split("."));
  const prefix = split[0]?.slice(0, -2).join(".") ?? "";
  return `${prefix}.${split.map((parts) => parts.at(-2)).join("+")}.weight`;
}

/** RMS norm of `residual + update`, in one node, named `normed`; `sum` is the new residual stream. */
export function rmsNorm(writer: GraphWriter, epsilon: number, width: number) {
  return (weight: string, residual: string, update: string | null, normed = `${weight}/normed`): { normed: string; sum: string } => {
    const scale = writer.weight(weight, "float32", [width], { kind: "vector", tensor: weight, map: "none" });
    const attributes = { epsilon: { float: epsilon } };
    if (update === null) {
      writer.node("SimplifiedLayerNormalization", [residual, scale], [normed], { ...attributes, axis: -1, stash_type: 1 });
      return { normed, sum: residual };
    }
    const sum = `${weight}/residual`;
    writer.node("SkipSimplifiedLayerNormalization", [residual, update, scale], [normed, "", "", sum], attributes, CONTRIB);
    return { normed, sum };
  };
}

/** down(silu(gate(x)) · up(x)), with gate and up in one product. */
export function mlp(writer: GraphWriter, format: MatrixFormat, matrix: MatrixLookup, prefix: string, width: number, x: string): string {
  const both = linear(writer, format, x, matrix(`${prefix}.gate_proj.weight`, `${prefix}.up_proj.weight`));
  writer.node("Split", [both, writer.shape([width, width])], [`${prefix}/gate`, `${prefix}/up`], { axis: -1 });
  const gated = writer.node("Mul", [silu(writer, `${prefix}/gate`, `${prefix}/silu`), `${prefix}/up`], [`${prefix}/gated`]);
  return linear(writer, format, gated, matrix(`${prefix}.down_proj.weight`));
}
