/** Matrix products with the bundle's weights, in the form that suits the provider. */
import type { Codec } from "@/lib/weights/codec-size";
import { CONTRIB, type GraphWriter } from "./graph-writer";

/**
 * How the graph holds its matrices.
 * `f32`: plain MatMul on float32: the parity mode, and the fastest on WebAssembly. Measured there, 135M parameters, one thread:
 * 14 ms a token, against 37 for int8 weights (DynamicQuantizeMatMul) and over 300 for MatMulNBits, which decodes the whole matrix in
 * every call.
 * `quantised`: MatMulNBits on blocks of 32, for WebGPU.
 */
export type MatrixFormat = "f32" | "quantised";

export const BLOCK = 32;

/** Stored matrices stacked by rows: `rows` outputs, `columns` inputs. */
export type Matrix = {
  readonly name: string;
  readonly tensors: readonly string[];
  readonly codecs: readonly Codec[];
  readonly rows: number;
  readonly columns: number;
  /** The rows of the stored tensor that are used, in this order; left out: all. */
  readonly chosen?: Uint32Array;
};

/** Some rows of a matrix of one tensor: row j of the result is its row `chosen[j]`. */
export function chooseRows(matrix: Matrix, chosen: Uint32Array): Matrix {
  return { ...matrix, name: `${matrix.name}.shortlist`, rows: chosen.length, chosen };
}

/**
 * Bits and zero points of a matrix in block form.
 *
 * `q4_0` and `q8_0` fit exactly. `q4_1` has a real-valued minimum where the WebGPU kernel takes an integer zero point, so it is held
 * in eight bits: the sixteen levels are spread over up to 256 codes so that zero falls (almost) on a code. The alternative, exact
 * four bits with a second product for the minima, saves a third of the bytes but adds three dispatches to each product, and
 * decoding on a GPU is bound by dispatches. Float tensors are rounded to eight bits.
 */
export function blockForm(codecs: readonly Codec[]): { bits: 4 | 8; zeroPoints: boolean } {
  if (codecs.every((codec) => codec === "q4_0")) return { bits: 4, zeroPoints: false };
  return { bits: 8, zeroPoints: codecs.includes("q4_1") };
}

/** x (…, columns) times the matrix's transpose: (…, rows). Returns the output's name. */
export function linear(writer: GraphWriter, format: MatrixFormat, x: string, matrix: Matrix, y = `${matrix.name}/out`): string {
  const { rows, columns } = matrix;
  if (format === "f32" || columns % BLOCK !== 0) return writer.node("MatMul", [x, transposed(writer, matrix)], [y]);
  const { bits, zeroPoints } = blockForm(matrix.codecs);
  const [perRow, source] = [columns / BLOCK, { kind: "blocks", tensors: matrix.tensors, bits, rows: matrix.chosen } as const];
  const scales = writer.weight(`${matrix.name}.scales`, "float32", [rows, perRow], { ...source, part: "scales" });
  const inputs = [x, blockCodes(writer, matrix), scales];
  if (zeroPoints) inputs.push(writer.weight(`${matrix.name}.zero_points`, "uint8", [rows, perRow], { ...source, part: "zero_points" }));
  // No accuracy_level: at 4 the WebGPU kernel rounds the activations to eight bits.
  return writer.node("MatMulNBits", inputs, [y], { K: columns, N: rows, bits, block_size: BLOCK }, CONTRIB);
}

/**
 * The rows of the embedding for `ids` (1, T): (1, T, columns).
 *
 * Stored in a symmetric block codec it is gathered from the blocks, on any provider: the decoded numbers are the same. In the quantised
 * form a tied LM head reads the same blocks; in float32 the head has its own transposed matrix, which the runtime repacks and then
 * frees only if nothing else reads it, so that sharing it would cost more memory than it saves. Other codecs are gathered from
 * that matrix all the same, along its columns.
 */
export function embedding(writer: GraphWriter, format: MatrixFormat, ids: string, matrix: Matrix): string {
  const { name, columns, rows, codecs } = matrix;
  const asStored = codecs.every((codec) => codec === "q8_0" || codec === "q4_0");
  if ((format === "f32" && !asStored) || columns % BLOCK !== 0) {
    const gathered = writer.node("Gather", [transposed(writer, matrix), ids], [`${name}/columns`], { axis: 1 });
    return writer.node("Transpose", [gathered], [`${name}/rows`], { perm: [1, 2, 0] });
  }
  const { bits, zeroPoints } = blockForm(codecs);
  // The gather wants scales and zero points of the codes' rank: small copies, beside codes that are shared.
  const [perBlock, source] = [[rows, columns / BLOCK, 1], { kind: "blocks", tensors: matrix.tensors, bits } as const];
  const scales = writer.weight(`${name}.gather_scales`, "float32", perBlock, { ...source, part: "scales" });
  const inputs = [blockCodes(writer, matrix), ids, scales];
  if (zeroPoints) inputs.push(writer.weight(`${name}.gather_zero_points`, "uint8", perBlock, { ...source, part: "zero_points" }));
  const attributes = { bits, block_size: BLOCK, gather_axis: 0, quantize_axis: 2 };
  const gathered = writer.node("GatherBlockQuantized", inputs, [`${name}/blocks`], attributes, CONTRIB);
  return writer.node("Reshape", [gathered, writer.shape([1, -1, columns])], [`${name}/rows`]);
}

function transposed(writer: GraphWriter, matrix: Matrix): string {
  const { name, tensors, rows, columns } = matrix;
  return writer.weight(`${name}.f32`, "float32", [columns, rows], { kind: "transposed", tensors, rows: matrix.chosen });
}

function blockCodes(writer: GraphWriter, matrix: Matrix): string {
  const { name, tensors, codecs, rows, columns } = matrix;
  const { bits } = blockForm(codecs);
  const source = { kind: "blocks", tensors, bits, part: "codes", rows: matrix.chosen } as const;
  return writer.weight(`${name}.codes`, "uint8", [rows, columns / BLOCK, (BLOCK * bits) / 8], source);
}
