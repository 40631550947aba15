/** The Mamba-2 mixer as graph nodes (docs/contracts.md, section 3). */
import { type Mamba2Config, mamba2Widths } from "@/lib/hybrid/mamba2";
import { CONTRIB, type GraphWriter } from "./graph-writer";
import { linear, type MatrixFormat } from "./linear";
import type { RollbackLayer, StateTensor } from "./plan";
import type { MatrixLookup } from "./build";

/**
 * Adds the mixer of `layer` on the normed hidden state `u` (1, T, D). Returns its output (1, T, D), named `out` if given, and its state tensors;
 * with `rollback`, the form whose tokens can be taken back (see RollbackLayer).
 */
export function mamba2Mixer(
  writer: GraphWriter,
  format: MatrixFormat,
  matrix: MatrixLookup,
  layer: number,
  config: Mamba2Config,
  u: string,
  { out, rollback = false }: { readonly out?: string; readonly rollback?: boolean } = {},
): { out: string; state: StateTensor[]; rollback: RollbackLayer | null } {
  const prefix = `model.layers.${layer}.mamba`;
  const names = new Map(rollback ? Object.entries(passNames(layer)) : []);
  const at = (name: string): string => names.get(name) ?? `${prefix}/${name}`;
  const { num_heads: H, num_kv_heads: G, head_dim: P, state_size: N } = config;
  const widths = mamba2Widths(config);
  const vector = (name: string, shape: readonly number[], map: "none" | "negative_exp" = "none"): string =>
    writer.weight(`${prefix}.${name}`, "float32", shape, { kind: "vector", tensor: `${prefix}.${name}`, map });

  const projected = linear(writer, format, u, matrix(`${prefix}.in_proj.weight`));
  const parts = [...(config.gate ? ["z"] : []), "xBC", "dt"].map(at);
  const sizes = [...(config.gate ? [widths.z] : []), widths.conv, widths.dt];
  writer.node("Split", [projected, writer.shape(sizes)], parts, { axis: -1 });

  const { mixed, state } = convolution(writer, layer, config, at("xBC"), vector, rollback);
  writer.node("Split", [mixed, writer.shape([widths.x, widths.B, widths.C])], [at("x"), at("B"), at("C")], { axis: -1 });

  // Decay and value. Head h reads group h // (H / G), so heads of one group lie side by side: (T, G, H/G, P).
  const grouped = writer.node("Reshape", [at("x"), writer.shape([1, -1, G, 1, P])], [at("x_grouped")]);
  const step = writer.node("Softplus", [writer.node("Add", [at("dt"), vector("dt_bias", [H])], [at("dt_biased")])], [at("step")]);
  let decay: string;
  let value: string;
  if (config.form === "ssd") {
    decay = writer.node("Mul", [step, vector("A_log", [H], "negative_exp")], [at("decay")]);
    const stepGrouped = writer.node("Reshape", [step, writer.shape([1, -1, G, H / G, 1])], [at("step_grouped")]);
    value = writer.node("Mul", [grouped, stepGrouped], [at("value_grouped")]);
  } else {
    decay = writer.node("Neg", [step], [at("decay")]);
    value = H === G ? grouped : writer.node("Expand", [grouped, writer.shape([1, 1, G, H / G, P])], [at("value_grouped")]);
  }
  const packed = writer.node("Reshape", [value, writer.shape([1, -1, H * P])], [at("value")]);

  const ssm: StateTensor = { kind: "ssm", layer, input: `past_ssm.${layer}`, output: `present_ssm.${layer}`, shape: [1, H, N, P] };
  writer.input(ssm.input, "float32", ssm.shape);
  writer.output(ssm.output, "float32", ssm.shape);
  const replay = rollback ? replayNode(writer, layer, config) : null;
  writer.node(
    "LinearAttention",
    [at("C"), at("B"), packed, replay?.state.replayed ?? ssm.input, decay],
    [at("read"), ssm.output],
    // `scale` left out would mean 1 / sqrt(state_size).
    { q_num_heads: H, kv_num_heads: H, update_rule: "gated", scale: { float: 1 } },
    CONTRIB,
  );

  const skip = writer.weight(`${prefix}.D`, "float32", [1, 1, G, H / G, 1], { kind: "vector", tensor: `${prefix}.D`, map: "none" });
  const skipped = writer.node("Mul", [grouped, skip], [at("skip_grouped")]);
  const skippedFlat = writer.node("Reshape", [skipped, writer.shape([1, -1, H * P])], [at("skip")]);
  let y = writer.node("Add", [at("read"), skippedFlat], [at("y")]);
  if (config.gate) {
    const gate = silu(writer, at("z"), at("gate"));
    y = writer.node("Mul", [y, gate], [at("gated")]);
  }
  if (config.norm === "rms") y = groupNorm(writer, config, y, at, vector);
  const product = linear(writer, format, y, matrix(`${prefix}.out_proj.weight`), out);
  return { out: product, state: replay ? [] : [...state, ssm], rollback: replay };
}

/** The pass's own inputs, which it gives out for the next one to replay, by their names inside the mixer. */
export const passNames = (layer: number) => ({ xBC: `pass_window.${layer}`, B: `pass_key.${layer}`, value: `pass_value.${layer}`, decay: `pass_decay.${layer}` });

/**
 * The recurrence over the kept tokens of the pass before, from the checkpoint. A token with value 0 and log decay 0 leaves the state as it
 * is, so "none" is one such token. The read is of no use: any query does, and the keys are at hand.
 */
function replayNode(writer: GraphWriter, layer: number, { num_heads: H, num_kv_heads: G, head_dim: P, state_size: N, ...config }: Mamba2Config): RollbackLayer {
  const shape = [1, H, N, P];
  const state = { input: `past_ssm.${layer}`, replayed: `replayed_ssm.${layer}`, output: `present_ssm.${layer}`, elements: H * N * P, shape };
  writer.output(state.replayed, "float32", shape);
  const widths = { key: G * N, value: H * P, decay: H };
  const inputs = (["key", "value", "decay"] as const).map((name) => ({
    input: writer.input(`replay_${name}.${layer}`, "float32", [1, "replayed", widths[name]]),
    output: writer.output(`pass_${name}.${layer}`, "float32", [1, "tokens", widths[name]]),
    width: widths[name],
  }));
  const [key = "", value = "", decay = ""] = inputs.map(({ input }) => input);
  const attributes = { q_num_heads: G, kv_num_heads: H, update_rule: "gated", scale: { float: 1 } };
  writer.node("LinearAttention", [key, key, value, state.input, decay], [`replay_read.${layer}`, state.replayed], attributes, CONTRIB);
  const width = mamba2Widths({ ...config, num_heads: H, num_kv_heads: G, head_dim: P, state_size: N }).conv;
  const window = config.conv_kernel === 0 ? null : { input: `past_window.${layer}`, output: passNames(layer).xBC, rows: config.conv_kernel - 1, width };
  return { layer, state, inputs, window };
}

/** x · sigmoid(x) as one node. */
export function silu(writer: GraphWriter, x: string, out: string): string {
  return writer.node("QuickGelu", [x], [out], { alpha: { float: 1 } }, CONTRIB);
}

/** The convolution's state behind a pass that can be taken back: as `present_conv`, inside the graph. */
export const windowAfter = (layer: number): string => `model.layers.${layer}.mamba/window_after`;

function convolution(
  writer: GraphWriter,
  layer: number,
  config: Mamba2Config,
  x: string,
  vector: (name: string, shape: readonly number[]) => string,
  rollback: boolean,
): { mixed: string; state: StateTensor[] } {
  const prefix = `model.layers.${layer}.mamba`;
  if (config.conv_kernel === 0) {
    return { mixed: config.conv_activation === "silu" ? silu(writer, x, `${prefix}/mixed`) : x, state: [] };
  }
  const { conv } = mamba2Widths(config);
  const state: StateTensor = {
    kind: "conv",
    layer,
    input: `past_conv.${layer}`,
    output: `present_conv.${layer}`,
    shape: [1, config.conv_kernel - 1, conv],
  };
  // The inputs of a pass that can be taken back are its own part of the next window.
  let past = state.input;
  if (rollback) {
    writer.output(x, "float32", [1, "tokens", conv]);
    past = writer.input(`past_window.${layer}`, "float32", state.shape);
  } else {
    writer.input(state.input, "float32", state.shape);
    writer.output(state.output, "float32", state.shape);
  }
  const weight = vector("conv1d.weight", [conv, 1, config.conv_kernel]);
  const mixed = writer.node(
    "CausalConvWithState",
    [x, weight, vector("conv1d.bias", [conv]), past],
    [`${prefix}/mixed`, rollback ? windowAfter(layer) : state.output],
    { activation: config.conv_activation === "silu" ? "silu" : "none", channels_last: 1 },
    CONTRIB,
  );
  return { mixed, state: rollback ? [] : [state] };
}

/** RMS norm over `norm_groups` equal groups of y (1, T, H·P), times the weight. */
function groupNorm(
  writer: GraphWriter,
  config: Mamba2Config,
  y: string,
  at: (name: string) => string,
  vector: (name: string, shape: readonly number[]) => string,
): string {
  const { inner } = mamba2Widths(config);
  const attributes = { axis: -1, epsilon: { float: config.norm_eps }, stash_type: 1 };
  const weight = vector("norm.weight", [inner]);
  if (config.norm_groups === 1) return writer.node("SimplifiedLayerNormalization", [y, weight], [at("normed")], attributes);
  const width = inner / config.norm_groups;
  const ones = writer.weight(`ones_${width}`, "float32", [width], { kind: "data", data: new Float32Array(width).fill(1) });
  const split = writer.node("Reshape", [y, writer.shape([1, -1, config.norm_groups, width])], [at("groups")]);
  const normed = writer.node("SimplifiedLayerNormalization", [split, ones], [at("groups_normed")], attributes);
  const joined = writer.node("Reshape", [normed, writer.shape([1, -1, inner])], [at("groups_joined")]);
  return writer.node("Mul", [joined, weight], [at("normed")]);
}
