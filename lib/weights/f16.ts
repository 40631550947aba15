/** The float32 value of each of the 65,536 half-precision bit patterns; built on first use. */
let table: Float32Array | undefined;

function buildTable(): Float32Array {
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits += 1) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    let magnitude: number;
    if (exponent === 0) magnitude = fraction * 2 ** -24;
    else if (exponent === 31) magnitude = fraction === 0 ? Infinity : NaN;
    else magnitude = (1 + fraction / 1024) * 2 ** (exponent - 15);
    values[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return values;
}

/** The table that maps half-precision bits to float32. */
export function halfTable(): Float32Array {
  table ??= buildTable();
  return table;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Half-precision bits of a float32 value: nearest, ties to even; too large becomes infinity. */
export function halfBits(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and more round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | roundToEven(Math.abs(value) * 2 ** 24);
  // Rebias the exponent (127 to 15); a carry out of the fraction rightly raises the exponent.
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** A view of little-endian bytes as 16-bit words; copies only if they are not aligned. */
export function wordsOf(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1);
}

/** Half-precision bytes to float32. */
export function decodeHalves(bytes: Uint8Array): Float32Array {
  const words = wordsOf(bytes);
  const values = halfTable();
  const out = new Float32Array(words.length);
  for (let i = 0; i < words.length; i += 1) out[i] = values[words[i]!]!;
  return out;
}

/** float32 values to half-precision bytes: nearest, ties to even. */
export function encodeHalves(values: Float32Array): Uint8Array {
  const words = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i += 1) words[i] = halfBits(values[i]!);
  return new Uint8Array(words.buffer);
}
