import { BLOCK_SIZE, type Codec, elementCount, partLayouts, type PartName } from "./codec-size";
import { WeightError } from "./errors";
import { decodeHalves, encodeHalves, halfBits, halfTable, wordsOf } from "./f16";

/** The stored bytes of a tensor, by part. */
export type TensorBytes = Readonly<Partial<Record<PartName, Uint8Array>>>;

/** A part's bytes, checked to be there and of the size that codec and shape call for. Throws WeightError `codec-invalid`. */
export function partBytes(codec: Codec, shape: readonly number[], parts: TensorBytes, part: PartName): Uint8Array {
  const layout = partLayouts(codec, shape).find((candidate) => candidate.part === part);
  const bytes = parts[part];
  if (!layout || !bytes || bytes.byteLength !== layout.bytes) {
    throw new WeightError(
      "codec-invalid",
      `The ${part} part of a ${codec} tensor [${shape.join(", ")}] has ${bytes?.byteLength ?? 0} bytes; it takes ${layout?.bytes ?? 0}.`,
      "Export or fetch the bundle again.",
    );
  }
  return bytes;
}

/**
 * A stored tensor as float32, row-major in `shape`. Values are those of the bundle's codecs exactly: scale and min are
 * half-precision, products and sums float32. An f32 tensor is a view of its bytes where their alignment allows.
 */
export function decodeTensor(codec: Codec, shape: readonly number[], parts: TensorBytes): Float32Array {
  const get = (part: PartName) => partBytes(codec, shape, parts, part);
  switch (codec) {
    case "f32":
      return floatsOf(get("data"));
    case "f16":
      return decodeHalves(get("data"));
    case "q8_0":
      return decodeBytes(get("q"), wordsOf(get("scale")));
    case "q4_0":
      return decodeSymmetric(get("q"), wordsOf(get("scale")));
    case "q4_1":
      return decodeAffine(get("q"), wordsOf(get("scale")), wordsOf(get("min")));
  }
}

function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

function decodeBytes(codes: Uint8Array, scales: Uint16Array): Float32Array {
  const halves = halfTable();
  const out = new Float32Array(codes.length);
  for (let block = 0, i = 0; block < scales.length; block += 1) {
    const scale = halves[scales[block]!]!;
    for (const end = i + BLOCK_SIZE; i < end; i += 1) out[i] = scale * (codes[i]! - 128);
  }
  return out;
}

function decodeSymmetric(codes: Uint8Array, scales: Uint16Array): Float32Array {
  const halves = halfTable();
  const out = new Float32Array(codes.length * 2);
  for (let block = 0, i = 0; block < scales.length; block += 1) {
    const scale = halves[scales[block]!]!;
    for (const end = i + BLOCK_SIZE / 2; i < end; i += 1) {
      const pair = codes[i]!;
      out[2 * i] = scale * ((pair & 15) - 8);
      out[2 * i + 1] = scale * ((pair >> 4) - 8);
    }
  }
  return out;
}

function decodeAffine(codes: Uint8Array, scales: Uint16Array, minima: Uint16Array): Float32Array {
  const halves = halfTable();
  const out = new Float32Array(codes.length * 2);
  for (let block = 0, i = 0; block < scales.length; block += 1) {
    const scale = halves[scales[block]!]!;
    const min = halves[minima[block]!]!;
    for (const end = i + BLOCK_SIZE / 2; i < end; i += 1) {
      const pair = codes[i]!;
      out[2 * i] = scale * (pair & 15) + min;
      out[2 * i + 1] = scale * (pair >> 4) + min;
    }
  }
  return out;
}

/**
 * Encodes row-major float32 values, each to the nearest code of its block. q8_0 takes scale = max|x| / 127; q4_0 lets the
 * element of largest magnitude be code 0 (-8); q4_1 spans the block's least to greatest value. Throws RangeError if a
 * block codec meets a last dimension that is not a multiple of 32, or another number of values than the shape holds.
 */
export function encodeTensor(codec: Codec, shape: readonly number[], values: Float32Array): TensorBytes {
  if (values.length !== elementCount(shape)) {
    throw new RangeError(`${values.length} values for the shape [${shape.join(", ")}]`);
  }
  partLayouts(codec, shape);
  switch (codec) {
    case "f32":
      return { data: new Uint8Array(values.slice().buffer) };
    case "f16":
      return { data: encodeHalves(values) };
    case "q8_0":
      return encodeBytes(values);
    case "q4_0":
    case "q4_1":
      return encodeNibbles(values, codec === "q4_1");
  }
}

function encodeBytes(values: Float32Array): TensorBytes {
  const codes = new Uint8Array(values.length);
  const scales = new Uint16Array(values.length / BLOCK_SIZE);
  scales.forEach((_, block) => {
    const begin = block * BLOCK_SIZE;
    let largest = 0;
    for (let i = begin; i < begin + BLOCK_SIZE; i += 1) largest = Math.max(largest, Math.abs(values[i]!));
    const bits = halfBits(largest / 127);
    const scale = halfTable()[bits]!;
    scales[block] = bits;
    for (let i = begin; i < begin + BLOCK_SIZE; i += 1) codes[i] = 128 + nearestCode(values[i]!, scale, -127, 127);
  });
  return { q: codes, scale: new Uint8Array(scales.buffer) };
}

function encodeNibbles(values: Float32Array, affine: boolean): TensorBytes {
  const codes = new Uint8Array(values.length / 2);
  const scales = new Uint16Array(values.length / BLOCK_SIZE);
  const minima = new Uint16Array(scales.length);
  scales.forEach((_, block) => {
    const begin = block * BLOCK_SIZE;
    let least = Infinity;
    let greatest = -Infinity;
    for (let i = begin; i < begin + BLOCK_SIZE; i += 1) {
      least = Math.min(least, values[i]!);
      greatest = Math.max(greatest, values[i]!);
    }
    const step = affine ? (greatest - least) / 15 : (-least > greatest ? least : greatest) / -8;
    scales[block] = halfBits(step);
    minima[block] = halfBits(least);
    const scale = halfTable()[scales[block]]!;
    const low = affine ? halfTable()[minima[block]]! : -8 * scale;
    for (let i = begin; i < begin + BLOCK_SIZE; i += 2) {
      const even = nearestCode(values[i]! - low, scale, 0, 15);
      const odd = nearestCode(values[i + 1]! - low, scale, 0, 15);
      codes[i / 2] = even | (odd << 4);
    }
  });
  const scaled = { q: codes, scale: new Uint8Array(scales.buffer) };
  return affine ? { ...scaled, min: new Uint8Array(minima.buffer) } : scaled;
}

function nearestCode(value: number, scale: number, least: number, greatest: number): number {
  if (scale === 0) return Math.max(0, least);
  return Math.min(greatest, Math.max(least, Math.round(value / scale)));
}
