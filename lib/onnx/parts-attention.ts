/** Causal attention over a whole text in plain operators: right on every adapter at every length, and it shows its probabilities. */
import type { Architecture } from "@/lib/hybrid/config";
import type { MatrixLookup } from "./build";
import type { GraphWriter } from "./graph-writer";
import { linear, type MatrixFormat } from "./linear";
import { PROBABILITIES } from "./parts";

/** Inputs that all attention parts share: rotary tables (T, 1, P / 2), and the causal mask (T, T), added to the scores. */
export const COSINE = "rotary_cosine";
export const SINE = "rotary_sine";
export const MASK = "causal_mask";

/** Attention of `layer` on the normed hidden state `u` (1, T, D), written to `out` (1, T, D). */
export function plainAttention(
  writer: GraphWriter,
  format: MatrixFormat,
  matrix: MatrixLookup,
  layer: number,
  architecture: Architecture,
  u: string,
  out: string,
): void {
  const prefix = `model.layers.${layer}.self_attn`;
  const { num_attention_heads: H, num_key_value_heads: G, head_dim: P } = architecture;
  const at = (name: string): string => `${prefix}/${name}`;
  const node = (operator: string, inputs: string[], name: string, attributes = {}): string => writer.node(operator, inputs, [at(name)], attributes);
  const reshape = (x: string, shape: number[], name: string): string => node("Reshape", [x, writer.shape(shape)], name);
  writer.input(COSINE, "float32", ["tokens", 1, P / 2]);
  writer.input(SINE, "float32", ["tokens", 1, P / 2]);
  writer.input(MASK, "float32", ["tokens", "tokens"]);

  const packed = linear(writer, format, u, matrix(...["q", "k", "v"].map((name) => `${prefix}.${name}_proj.weight`)));
  writer.node("Split", [packed, writer.shape([(H + G) * P, G * P])], [at("qk"), at("v")], { axis: -1 });
  // The half-split form: element i of a head turns with element i + P / 2.
  const heads = reshape(at("qk"), [-1, H + G, P], "qk_heads");
  writer.node("Split", [heads, writer.shape([P / 2, P / 2])], [at("first"), at("second")], { axis: -1 });
  const product = (half: string, table: string, name: string): string => node("Mul", [at(half), table], name);
  const first = node("Sub", [product("first", COSINE, "first_cosine"), product("second", SINE, "second_sine")], "first_turned");
  const second = node("Add", [product("second", COSINE, "second_cosine"), product("first", SINE, "first_sine")], "second_turned");
  const turned = node("Concat", [first, second], "turned", { axis: -1 });
  writer.node("Split", [turned, writer.shape([H, G])], [at("q"), at("k")], { axis: 1 });

  // Query heads of one group lie side by side, so they are one matrix with H / G · T rows.
  const scale = writer.weight("attention.scale", "float32", [1], { kind: "data", data: Float32Array.of(1 / Math.sqrt(P)) });
  const queries = node("Transpose", [node("Mul", [at("q"), scale], "q_scaled")], "q_heads_first", { perm: [1, 0, 2] });
  const keys = node("Transpose", [at("k")], "k_transposed", { perm: [1, 2, 0] });
  const values = node("Transpose", [reshape(at("v"), [-1, G, P], "v_heads")], "v_heads_first", { perm: [1, 0, 2] });
  const shape = node("Shape", [at("turned")], "shape", { start: 0, end: 1 });
  const grouped = node("MatMul", [reshape(queries, [G, -1, P], "q_grouped"), keys], "scores_grouped");
  const square = node("Concat", [writer.shape([H]), shape, shape], "square", { axis: 0 });
  const scores = node("Add", [node("Reshape", [grouped, square], "scores"), MASK], "scores_masked");
  writer.output(PROBABILITIES, "float32", [H, "tokens", "tokens"]);
  writer.node("Softmax", [scores], [PROBABILITIES], { axis: -1 });
  const rows = node("Concat", [writer.shape([G, -1]), shape], "rows", { axis: 0 });
  const read = node("MatMul", [node("Reshape", [PROBABILITIES, rows], "probabilities_grouped"), values], "read_grouped");
  const readHeads = node("Concat", [writer.shape([H]), shape, writer.shape([P])], "read_shape", { axis: 0 });
  const tokensFirst = node("Transpose", [node("Reshape", [read, readHeads], "read_heads")], "read_tokens_first", { perm: [1, 0, 2] });
  linear(writer, format, reshape(tokensFirst, [1, -1, H * P], "read"), matrix(`${prefix}.o_proj.weight`), out);
}
