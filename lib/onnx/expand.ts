/** Computes the bytes of a plan's initialisers from the bundle's stored tensors. */
import type { Codec } from "@/lib/weights/codec-size";
import { decodeTensor, encodeTensor, type TensorBytes } from "@/lib/weights/codecs";
import { type BlockQuantized, isSymmetricBlockCodec, requantizeAffine, symmetricBlocks } from "@/lib/weights/repack";
import type { Initialiser, WeightSource } from "./plan";

/** A tensor as the bundle stores it. */
export type StoredTensor = { readonly codec: Codec; readonly shape: readonly number[]; readonly parts: TensorBytes };
export type TensorLookup = (name: string) => StoredTensor;

/** Expands initialisers one by one; the parts of one matrix, asked for in turn, are computed together. */
export function createExpander(lookup: TensorLookup): (initialiser: Initialiser) => Uint8Array {
  let lastKey = "";
  let lastParts: Readonly<Record<string, Uint8Array>> = {};
  const partsOf = (key: string, compute: () => Readonly<Record<string, Uint8Array>>): Readonly<Record<string, Uint8Array>> => {
    if (key !== lastKey) {
      lastParts = {}; // lets the last matrix go before the next is made
      lastParts = compute();
      lastKey = key;
    }
    return lastParts;
  };
  const bytesOf = (source: WeightSource): Uint8Array => {
    switch (source.kind) {
      case "data":
        return viewBytes(source.data);
      case "vector":
        return viewBytes(vector(lookup(source.tensor), source.map));
      case "transposed":
        return viewBytes(stackTransposed(source.tensors.map((name) => someRows(lookup(name), source.rows))));
      case "blocks": {
        const parts = partsOf(`blocks${source.bits} ${source.rows?.length ?? "all"} ${source.tensors.join()}`, () =>
          blockParts(source.tensors.map((name) => someRows(lookup(name), source.rows)), source.bits),
        );
        return parts[source.part] ?? missing(source.part);
      }
    }
  };
  return (initialiser) => {
    const bytes = bytesOf(initialiser.source);
    if (bytes.byteLength !== initialiser.bytes) {
      throw new Error(`"${initialiser.name}" has ${bytes.byteLength} bytes where the graph takes ${initialiser.bytes}.`);
    }
    return bytes;
  };
}

function missing(part: string): never {
  throw new Error(`This matrix has no ${part}.`);
}

/** Every part of a stored matrix is laid out by rows. */
function someRows({ codec, shape, parts }: StoredTensor, rows: Uint32Array | undefined): StoredTensor {
  if (rows === undefined) return { codec, shape, parts };
  const [all = 0, ...rest] = shape;
  const gathered = Object.entries(parts).map(([part, bytes]) => {
    const each = bytes.byteLength / all;
    const out = new Uint8Array(rows.length * each);
    rows.forEach((row, place) => out.set(bytes.subarray(row * each, (row + 1) * each), place * each));
    return [part, out];
  });
  return { codec, shape: [rows.length, ...rest], parts: Object.fromEntries(gathered) as TensorBytes };
}

const viewBytes = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const decode = ({ codec, shape, parts }: StoredTensor): Float32Array => decodeTensor(codec, shape, parts);

function vector(tensor: StoredTensor, map: "none" | "negative_exp"): Float32Array {
  const values = decode(tensor);
  return map === "none" ? values : values.map((value) => -Math.exp(value));
}

/** [columns, stacked rows] from matrices [rows, columns]. Square tiles keep both sides of the copy in the cache. */
function stackTransposed(tensors: readonly StoredTensor[]): Float32Array {
  const columns = tensors[0]?.shape[1] ?? 0;
  const allRows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const out = new Float32Array(columns * allRows);
  const tile = 32;
  let begin = 0;
  for (const tensor of tensors) {
    const values = decode(tensor);
    const rows = tensor.shape[0] ?? 0;
    for (let r0 = 0; r0 < rows; r0 += tile) {
      for (let c0 = 0; c0 < columns; c0 += tile) {
        const rEnd = Math.min(rows, r0 + tile);
        const cEnd = Math.min(columns, c0 + tile);
        for (let c = c0; c < cEnd; c++) for (let r = r0; r < rEnd; r++) out[c * allRows + begin + r] = values[r * columns + c]!;
      }
    }
    begin += rows;
  }
  return out;
}

function blockParts(tensors: readonly StoredTensor[], bits: 4 | 8): Readonly<Record<string, Uint8Array>> {
  const blocks = tensors.map((tensor) => toBlocks(tensor, bits));
  const parts: Record<string, Uint8Array> = {
    codes: concatenate(blocks.map(({ B }) => B)),
    scales: concatenate(blocks.map(({ scales }) => viewBytes(scales))),
  };
  if (blocks.some(({ zeroPoints }) => zeroPoints)) {
    parts.zero_points = concatenate(blocks.map(({ zeroPoints, scales }) => zeroPoints ?? new Uint8Array(scales.length).fill(128)));
  }
  return parts;
}

/** Blocks of the width asked for: as stored where they fit, widened from four bits, else rounded to eight. */
function toBlocks(tensor: StoredTensor, bits: 4 | 8): BlockQuantized {
  const { codec, shape, parts } = tensor;
  if (isSymmetricBlockCodec(codec)) {
    const blocks = symmetricBlocks(codec, shape, parts);
    return blocks.bits === bits ? blocks : widen(blocks);
  }
  if (codec === "q4_1") return requantizeAffine(shape, parts);
  return symmetricBlocks("q8_0", shape, encodeTensor("q8_0", shape, decode(tensor)));
}

/** Four-bit codes about 8 as eight-bit codes about 128, with the same scales. */
function widen(blocks: BlockQuantized): BlockQuantized {
  const B = new Uint8Array(blocks.B.length * 2);
  blocks.B.forEach((pair, i) => {
    B[2 * i] = (pair & 15) + 120;
    B[2 * i + 1] = (pair >> 4) + 120;
  });
  return { ...blocks, bits: 8, B };
}

function concatenate(arrays: readonly Uint8Array[]): Uint8Array {
  if (arrays.length === 1 && arrays[0]) return arrays[0];
  const out = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const array of arrays) {
    out.set(array, offset);
    offset += array.byteLength;
  }
  return out;
}
