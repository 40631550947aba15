/** The attention mixer as graph nodes: one product for queries, keys and values, and the fused grouped-query attention. */
import type { Architecture } from "@/lib/hybrid/config";
import type { MatrixLookup, Provider } from "./build";
import { CONTRIB, type GraphWriter } from "./graph-writer";
import { linear, type MatrixFormat } from "./linear";
import { SEQLENS_K, type StateTensor, TOTAL_SEQUENCE_LENGTH } from "./plan";

/** Adds the mixer of `layer` on the normed hidden state `u` (1, T, D). Returns its output (1, T, D) and its state tensors. */
export function attentionMixer(
  writer: GraphWriter,
  format: MatrixFormat,
  matrix: MatrixLookup,
  layer: number,
  architecture: Architecture,
  { contextLength, provider }: { readonly contextLength: number; readonly provider: Provider },
  u: string,
): { out: string; state: StateTensor[] } {
  const prefix = `model.layers.${layer}.self_attn`;
  const { num_attention_heads: queries, num_key_value_heads: groups, head_dim: width } = architecture;
  const packed = linear(writer, format, u, matrix(...["q", "k", "v"].map((name) => `${prefix}.${name}_proj.weight`)));
  const state = (["key", "value"] as const).map((kind): StateTensor => {
    const input = writer.input(`past_key_values.${layer}.${kind}`, "float32", [1, groups, "past", width]);
    const output = writer.output(`present.${layer}.${kind}`, "float32", [1, groups, "total", width]);
    return { kind, layer, input, output, shape: [1, groups, "past", width] };
  });
  const rotary = rotaryTables(architecture, contextLength);
  const half = [contextLength, width / 2];
  const cosine = writer.weight("rotary.cosine", "float32", half, { kind: "data", data: rotary.cosine });
  const sine = writer.weight("rotary.sine", "float32", half, { kind: "data", data: rotary.sine });
  const inputs = [packed, "", "", ...state.map(({ input }) => input), SEQLENS_K, TOTAL_SEQUENCE_LENGTH, cosine, sine];
  if (provider === "wasm") inputs.push("", "", weightlessSink(writer, queries));
  writer.node(
    "GroupQueryAttention",
    inputs,
    [`${prefix}/read`, ...state.map(({ output }) => output)],
    { num_heads: queries, kv_num_heads: groups, do_rotary: 1, rotary_interleaved: 0 },
    CONTRIB,
  );
  return { out: linear(writer, format, `${prefix}/read`, matrix(`${prefix}.o_proj.weight`)), state };
}

/**
 * An attention sink for each query head whose share of the softmax, exp(-1e30), is zero: the result is that without a sink.
 *
 * Of the runtime's two CPU kernels (onnxruntime-web 1.30), the tiled one, which it prefers for more than one token, runs at 1 GFLOP/s on
 * WebAssembly; the one that a sink makes it take, at 18.
 */
function weightlessSink(writer: GraphWriter, queries: number): string {
  return writer.weight("attention.sink", "float32", [queries], { kind: "data", data: new Float32Array(queries).fill(-1e30) });
}

/**
 * Cosines and sines of the rotary embedding, (contextLength, head_dim / 2), in the half-split form. Frequencies and angles are
 * rounded to float32 as Hugging Face's are: at position 2000 that rounding is worth 1e-4.
 */
export function rotaryTables(
  { head_dim: width, rope_theta: theta }: Pick<Architecture, "head_dim" | "rope_theta">,
  contextLength: number,
): { cosine: Float32Array<ArrayBuffer>; sine: Float32Array<ArrayBuffer> } {
  const half = width / 2;
  const cosine = new Float32Array(contextLength * half);
  const sine = new Float32Array(contextLength * half);
  for (let pair = 0; pair < half; pair++) {
    const frequency = Math.fround(1 / Math.fround(theta ** ((2 * pair) / width)));
    for (let position = 0; position < contextLength; position++) {
      const angle = Math.fround(position * frequency);
      cosine[position * half + pair] = Math.cos(angle);
      sine[position * half + pair] = Math.sin(angle);
    }
  }
  return { cosine, sine };
}
