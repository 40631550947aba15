/** Reads one JSON number out of bytes, without making a string of it. */

const powers = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

/** Where the last number ended; the module is used by one thread, so one place is enough. */
export const cursor = { end: 0 };

/**
 * The number (or null: NaN) that starts at `at`; `cursor.end` is the byte after it, or -1 if there is none that JSON allows.
 * Exact up to 15 digits; beyond, within 1e-15 of the value.
 */
export function scanNumber(bytes: Uint8Array, at: number): number {
  let i = at;
  if (bytes[i] === 0x2d) i++;
  const first = i;
  // Digits are gathered nine at a time in an int32, which is quicker than in float64.
  let value = 0;
  let part = 0;
  let inPart = 0;
  let digit = (bytes[i] as number) - 0x30;
  while (digit >= 0 && digit <= 9) {
    part = (Math.imul(part, 10) + digit) | 0;
    if (++inPart === 9) {
      value = value * 1e9 + part;
      part = 0;
      inPart = 0;
    }
    digit = (bytes[++i] as number) - 0x30;
  }
  const whole = i - first;
  let decimals = 0;
  if (digit === -2) {
    const point = i;
    digit = (bytes[++i] as number) - 0x30;
    while (digit >= 0 && digit <= 9) {
      part = (Math.imul(part, 10) + digit) | 0;
      if (++inPart === 9) {
        value = value * 1e9 + part;
        part = 0;
        inPart = 0;
      }
      digit = (bytes[++i] as number) - 0x30;
    }
    decimals = i - point - 1;
    if (decimals === 0) return rare(bytes, at);
  }
  value = value * (powers[inPart] as number) + part;
  // Null, nothing, a leading zero.
  if (whole === 0 || whole > 18 || decimals > 22 || (whole > 1 && bytes[first] === 0x30)) return rare(bytes, at);
  if (digit === 0x45 - 0x30 || digit === 0x65 - 0x30) {
    const sign = bytes[i + 1] as number;
    let exponent = 0;
    const start = sign === 0x2d || sign === 0x2b ? i + 2 : i + 1;
    for (i = start; (digit = (bytes[i] as number) - 0x30) >= 0 && digit <= 9; i++) exponent = exponent * 10 + digit;
    decimals -= sign === 0x2d ? -exponent : exponent;
    if (i === start || decimals > 22 || decimals < 0) return rare(bytes, at);
  }
  if (decimals > 0) value /= powers[decimals] as number;
  cursor.end = i;
  return first > at ? -value : value;
}

/** The same by way of a string. */
function rare(bytes: Uint8Array, at: number): number {
  let end = at;
  while (isNumeric(bytes[end] as number)) end++;
  const text = String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 400)));
  if (text === "null") {
    cursor.end = end;
    return NaN;
  }
  cursor.end = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? end : -1;
  return cursor.end < 0 ? NaN : Number(text);
}

/** Digits, signs, the point, exponents, and the letters of null. */
function isNumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
