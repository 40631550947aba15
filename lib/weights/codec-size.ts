/** How a tensor's numbers are stored. */
export const codecNames = ["f32", "f16", "q8_0", "q4_0", "q4_1"] as const;
export type Codec = (typeof codecNames)[number];

/** Elements that share a scale, along the last dimension. */
export const BLOCK_SIZE = 32;

/** A part of a stored tensor: the values themselves, or a block codec's codes, scales and minima. */
export type PartName = "data" | "q" | "scale" | "min";

/** How one part is stored: as a safetensors entry `<tensor name><suffix>` of this dtype and shape. */
export interface PartLayout {
  readonly part: PartName;
  readonly suffix: "" | ".q" | ".scale" | ".min";
  readonly dtype: "F32" | "F16" | "U8";
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** True for codecs whose elements share scales in blocks of {@link BLOCK_SIZE}. */
export function isBlockCodec(codec: Codec): boolean {
  return codec !== "f32" && codec !== "f16";
}

/** The number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * The parts of a tensor of this codec and shape. Throws RangeError if a block codec meets a last dimension that is not
 * a multiple of {@link BLOCK_SIZE}.
 */
export function partLayouts(codec: Codec, shape: readonly number[]): PartLayout[] {
  const count = elementCount(shape);
  if (codec === "f32") return [{ part: "data", suffix: "", dtype: "F32", shape, bytes: 4 * count }];
  if (codec === "f16") return [{ part: "data", suffix: "", dtype: "F16", shape, bytes: 2 * count }];
  const columns = shape.at(-1) ?? 0;
  if (columns === 0 || columns % BLOCK_SIZE !== 0) {
    throw new RangeError(`${codec} needs a last dimension that is a multiple of ${BLOCK_SIZE}; the shape is [${shape.join(", ")}]`);
  }
  const rows = shape.slice(0, -1);
  const blocks = columns / BLOCK_SIZE;
  const half = { dtype: "F16", shape: [...rows, blocks], bytes: (2 * count) / BLOCK_SIZE } as const;
  const scale: PartLayout = { part: "scale", suffix: ".scale", ...half };
  if (codec === "q8_0") return [{ part: "q", suffix: ".q", dtype: "U8", shape, bytes: count }, scale];
  const codes: PartLayout = {
    part: "q",
    suffix: ".q",
    dtype: "U8",
    shape: [...rows, blocks, BLOCK_SIZE / 2],
    bytes: count / 2,
  };
  return codec === "q4_0" ? [codes, scale] : [codes, scale, { part: "min", suffix: ".min", ...half }];
}

/** Bytes that a tensor of this codec and shape takes in a file, all parts together. */
export function codecBytes(codec: Codec, shape: readonly number[]): number {
  return partLayouts(codec, shape).reduce((sum, layout) => sum + layout.bytes, 0);
}
