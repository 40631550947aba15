/** How far two mixers' outputs are from one another. */

/** ||b - a|| / ||a|| over all numbers, and the mean over rows of `width` of their cosine, for `a` the reference. */
export function outputDistance(a: Float32Array, b: Float32Array, width: number): { relativeError: number; cosine: number } {
  let [difference, reference, cosines] = [0, 0, 0];
  const rows = a.length / width;
  for (let row = 0; row < rows; row++) {
    let [aa, bb, ab] = [0, 0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      const [x, y] = [a[i]!, b[i]!];
      aa += x * x;
      bb += y * y;
      ab += x * y;
      difference += (y - x) ** 2;
    }
    reference += aa;
    cosines += aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
  }
  return { relativeError: Math.sqrt(difference / reference), cosine: cosines / rows };
}
