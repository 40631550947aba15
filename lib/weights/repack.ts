import { BLOCK_SIZE, type Codec } from "./codec-size";
import { partBytes, type TensorBytes } from "./codecs";
import { decodeHalves, halfTable, wordsOf } from "./f16";

/**
 * The inputs of ONNX Runtime's `MatMulNBits` for y = x · Wᵀ, W of N rows and K columns in blocks of 32 along K.
 * W = scales · (B - zero point), where the zero point is 2^(bits-1) unless `zeroPoints` gives one a block.
 */
export interface BlockQuantized {
  readonly bits: 4 | 8;
  readonly N: number;
  readonly K: number;
  /** [N, K/32, 32·bits/8]; 4-bit: the even element in the low nibble. */
  readonly B: Uint8Array;
  /** [N, K/32]. */
  readonly scales: Float32Array;
  /** [N, K/32], 8-bit only. */
  readonly zeroPoints?: Uint8Array;
}

/** A matrix's rows and columns. Throws RangeError on another rank. */
function matrixSize(shape: readonly number[]): { N: number; K: number } {
  const [N, K] = shape;
  if (N === undefined || K === undefined || shape.length !== 2) throw new RangeError(`a matrix is needed, not [${shape.join(", ")}]`);
  return { N, K };
}

/**
 * q8_0 and q4_0 as they are: their codes are `MatMulNBits`' own layout with the default zero points (128 and 8), so `B`
 * shares the stored bytes; only the scales are widened to float32.
 */
export function symmetricBlocks(codec: "q8_0" | "q4_0", shape: readonly number[], parts: TensorBytes): BlockQuantized {
  return {
    bits: codec === "q8_0" ? 8 : 4,
    ...matrixSize(shape),
    B: partBytes(codec, shape, parts, "q"),
    scales: decodeHalves(partBytes(codec, shape, parts, "scale")),
  };
}

/** A q4_1 matrix as a symmetric 4-bit one plus a constant a block. */
export interface SplitBlocks {
  /** 4 bits, default zero point 8; `B` shares the stored bytes. */
  readonly symmetric: BlockQuantized;
  /** c, [N, K/32]: what each of a block's weights has beside its symmetric part. */
  readonly constants: Float32Array;
}

/**
 * The exact split of q4_1: scale·q + min = scale·(q - 8) + c with c = 8·scale + min, so that
 * y = MatMulNBits(x) + blockSums(x) · cᵀ, where blockSums(x) sums x over each 32 columns.
 */
export function splitAffine(shape: readonly number[], parts: TensorBytes): SplitBlocks {
  const scales = decodeHalves(partBytes("q4_1", shape, parts, "scale"));
  const constants = decodeHalves(partBytes("q4_1", shape, parts, "min"));
  for (let block = 0; block < constants.length; block += 1) constants[block]! += 8 * scales[block]!;
  return { symmetric: { bits: 4, ...matrixSize(shape), B: partBytes("q4_1", shape, parts, "q"), scales }, constants };
}

/** 15 steps of 17 codes span the 256 codes of a byte. */
const MAX_SUBSTEPS = 17;

/**
 * q4_1 requantised to 8 bits with an integer zero point a block. With sub-step t = scale/k, code k·q + b and zero point z
 * the weight is scale·q + t·(b - z); of k = 1 … 17 the one whose t·(b - z) lies nearest to min is taken, so the error
 * is at most scale/34 for a block that spans zero. A block too far from zero for that is quantised anew.
 */
export function requantizeAffine(shape: readonly number[], parts: TensorBytes): BlockQuantized {
  const { N, K } = matrixSize(shape);
  const nibbles = partBytes("q4_1", shape, parts, "q");
  const scaleBits = wordsOf(partBytes("q4_1", shape, parts, "scale"));
  const minBits = wordsOf(partBytes("q4_1", shape, parts, "min"));
  const halves = halfTable();
  const blocks = scaleBits.length;
  const B = new Uint8Array(N * K);
  const scales = new Float32Array(blocks);
  const zeroPoints = new Uint8Array(blocks);
  const codes = new Uint8Array(16);
  for (let block = 0; block < blocks; block += 1) {
    const grid = chooseGrid(halves[scaleBits[block]!]!, halves[minBits[block]!]!, codes);
    scales[block] = grid.scale;
    zeroPoints[block] = grid.zero;
    const from = (block * BLOCK_SIZE) / 2;
    for (let i = from; i < from + BLOCK_SIZE / 2; i += 1) {
      const pair = nibbles[i]!;
      B[2 * i] = codes[pair & 15]!;
      B[2 * i + 1] = codes[pair >> 4]!;
    }
  }
  return { bits: 8, N, K, B, scales, zeroPoints };
}

/** Fills `codes` with the byte of each nibble and returns the scale and zero point that go with them. */
function chooseGrid(scale: number, min: number, codes: Uint8Array): { scale: number; zero: number } {
  if (scale === 0) {
    codes.fill(min > 0 ? 1 : 0);
    return { scale: Math.abs(min), zero: min < 0 ? 1 : 0 };
  }
  // A weight is scale · (q + offset), whatever the sign of scale.
  const offset = min / scale;
  let bestError = Infinity;
  let bestSteps = 0;
  let bestShift = 0;
  for (let steps = 1; steps <= MAX_SUBSTEPS; steps += 1) {
    const shift = Math.round(offset * steps);
    if (shift > 255 - 15 * steps || shift < -255) continue;
    const error = Math.abs(shift / steps - offset);
    if (error <= bestError) {
      bestError = error;
      bestSteps = steps;
      bestShift = shift;
    }
  }
  if (bestSteps === 0) return requantize(scale, min, codes);
  const begin = Math.max(0, bestShift);
  for (let nibble = 0; nibble < 16; nibble += 1) codes[nibble] = begin + nibble * bestSteps;
  return { scale: scale / bestSteps, zero: begin - bestShift };
}

function requantize(scale: number, min: number, codes: Uint8Array): { scale: number; zero: number } {
  const ends = [0, min, min + 15 * scale];
  const least = Math.min(...ends);
  const step = (Math.max(...ends) - least) / 255;
  const zero = Math.round(-least / step);
  for (let nibble = 0; nibble < 16; nibble += 1) codes[nibble] = Math.round((min + nibble * scale) / step) + zero;
  return { scale: step, zero };
}

/** The float32 matrix that a block-quantised form stands for, [N, K]. */
export function dequantize({ bits, N, K, B, scales, zeroPoints }: BlockQuantized): Float32Array {
  const out = new Float32Array(N * K);
  for (let i = 0; i < out.length; i += 1) {
    const block = Math.floor(i / BLOCK_SIZE);
    const code = bits === 8 ? B[i]! : (B[i >> 1]! >> (4 * (i & 1))) & 15;
    out[i] = scales[block]! * (code - (zeroPoints?.[block] ?? 2 ** (bits - 1)));
  }
  return out;
}

/** True for codecs that `MatMulNBits` takes as they are stored. */
export function isSymmetricBlockCodec(codec: Codec): codec is "q8_0" | "q4_0" {
  return codec === "q8_0" || codec === "q4_0";
}
