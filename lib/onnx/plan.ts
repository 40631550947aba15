/** What a built graph tells its runner: inputs, outputs, state, and where the bytes of each initialiser come from. */

export type TensorType = "float32" | "uint8" | "int32" | "int64";

export const BYTES_PER_ELEMENT: Readonly<Record<TensorType, number>> = { float32: 4, uint8: 1, int32: 4, int64: 8 };

/** A dimension: a number, or the name of one that changes from run to run. */
export type Dimension = number | string;

export interface ValueInfo {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly Dimension[];
}

/** Which derived array of a block-quantised matrix. */
export type BlockPart = "codes" | "scales" | "zero_points";

/**
 * Where an initialiser's bytes come from. `tensors` names tensors of the bundle; more than one are stacked by rows (so that one
 * product serves the queries, keys and values, or the MLP's gate and up projections).
 */
export type WeightSource =
  /** float32 as stored, in the tensor's own order. */
  | { readonly kind: "vector"; readonly tensor: string; readonly map: "none" | "negative_exp" }
  /** float32, transposed: [columns, stacked rows], the right-hand side of a MatMul. `rows`: of these rows only, in this order. */
  | { readonly kind: "transposed"; readonly tensors: readonly string[]; readonly rows?: Uint32Array | undefined }
  /** Blocks of 32 along the columns, `bits` wide, in the layout of MatMulNBits. */
  | { readonly kind: "blocks"; readonly tensors: readonly string[]; readonly bits: 4 | 8; readonly part: BlockPart; readonly rows?: Uint32Array | undefined }
  /** Computed here, not from the bundle. */
  | { readonly kind: "data"; readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> };

export interface Initialiser {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly source: WeightSource;
}

/** A state tensor that a run reads as `input` and writes as `output`. */
export interface StateTensor {
  readonly kind: "key" | "value" | "conv" | "ssm";
  readonly layer: number;
  readonly input: string;
  readonly output: string;
  /** Shape with the key/value cache's length as the symbol "past". */
  readonly shape: readonly Dimension[];
}

/**
 * The recurrent state of one Mamba-2 layer in a graph that can take tokens back. No state a token is kept: a pass starts from a checkpoint,
 * replays the inputs of the tokens before it that were kept, and gives out its own inputs for the next pass to replay.
 */
export interface RollbackLayer {
  readonly layer: number;
  /** Checkpoint (1, H, N, P): `input` before the replay, `replayed` after it, `output` after the pass's own tokens too. */
  readonly state: { readonly input: string; readonly replayed: string; readonly output: string; readonly elements: number; readonly shape: readonly number[] };
  /** The recurrence's inputs (1, tokens, width): to replay, and the pass's own. */
  readonly inputs: readonly { readonly input: string; readonly output: string; readonly width: number }[];
  /** Inputs of the convolution: the last `rows` before the pass (1, rows, width), and the pass's own (1, tokens, width). */
  readonly window: { readonly input: string; readonly output: string; readonly rows: number; readonly width: number } | null;
}

export interface GraphPlan {
  /** The serialised ModelProto; its large initialisers are external data, one file each, named as the initialiser. */
  readonly model: Uint8Array<ArrayBuffer>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly state: readonly StateTensor[];
  /** One entry a Mamba layer, or null for a graph that cannot take tokens back (whose recurrent states are in `state`). */
  readonly rollback: readonly RollbackLayer[] | null;
  /** True if the graph has the two length inputs of the fused attention: `seqlens_k` and `total_sequence_length`. */
  readonly attentionLengths: boolean;
  readonly initialisers: readonly Initialiser[];
  /** Bytes of all initialisers together. */
  readonly weightBytes: number;
  readonly nodeCount: number;
}

/** Names of the inputs and outputs that do not belong to a layer. */
export const INPUT_IDS = "input_ids";
export const LOGITS = "logits";
/** Positions of the pass whose logits are wanted: an input of graphs that can take tokens back. */
export const LOGIT_ROWS = "logit_rows";
/**
 * Hidden states of a pass, (1, tokens, D): an output behind the last norm, which the LM head reads, and a feature draft's input, in which the row of a token
 * is the target's hidden state before it (arXiv 2401.15077, section 4.1; zeros before the first).
 */
export const HIDDEN_STATES = "hidden_states";
export const FEATURES = "features";
export const SEQLENS_K = "seqlens_k";
export const TOTAL_SEQUENCE_LENGTH = "total_sequence_length";
/**
 * Of each row of logits, cut into segments of `choiceSegment` tokens: the greatest of each segment (1, rows, segments) and its place in the segment.
 * The greatest of them all is the row's, and of equals the first is taken by both.
 */
export const CHOICE_MAXIMA = "choice_maxima";
export const CHOICE_COLUMNS = "choice_columns";

/** Numbers a row of an input or output; null if there is none of this name. */
export function rowWidth(values: readonly ValueInfo[], name: string): number | null {
  const found = values.find((value) => value.name === name);
  return found ? Number(found.shape.at(-1)) : null;
}

const LONGEST_SEGMENT = 256;

/** Tokens a segment: the greatest divisor of the head's width that is not too long; the whole width if there is none to speak of. */
export function choiceSegment(width: number): number {
  for (let size = LONGEST_SEGMENT; size >= LONGEST_SEGMENT / 16; size--) if (width % size === 0) return size;
  return width;
}
