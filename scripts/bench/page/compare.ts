/** Comparing logits. */

export type Comparison = { positions: number; maxAbsDiff: number; meanKl: number; maxKl: number; top1Agreement: number };

/** `ours` against `reference`, both (positions x width): KL is of the reference to ours, in nats a position, in float64. */
export function compareLogits(reference: Float32Array, ours: Float32Array, width: number): Comparison {
  if (reference.length !== ours.length) throw new Error(`${ours.length} logits; the reference has ${reference.length}.`);
  const positions = ours.length / width;
  let maxAbsDiff = 0;
  let sumKl = 0;
  let maxKl = 0;
  let agreements = 0;
  for (let position = 0; position < positions; position++) {
    const p = reference.subarray(position * width, (position + 1) * width);
    const q = ours.subarray(position * width, (position + 1) * width);
    const [logZp, logZq] = [logSumExp(p), logSumExp(q)];
    let kl = 0;
    let [bestP, bestQ] = [0, 0];
    for (let index = 0; index < width; index++) {
      const [a, b] = [p[index] ?? Number.NaN, q[index] ?? Number.NaN];
      const difference = Math.abs(a - b);
      if (!(difference <= maxAbsDiff)) maxAbsDiff = difference; // a NaN stays
      const logP = a - logZp;
      kl += Math.exp(logP) * (logP - (b - logZq));
      if (a > (p[bestP] ?? Number.NaN)) bestP = index;
      if (b > (q[bestQ] ?? Number.NaN)) bestQ = index;
    }
    sumKl += kl;
    maxKl = Math.max(maxKl, kl);
    if (bestP === bestQ) agreements++;
  }
  return { positions, maxAbsDiff, meanKl: sumKl / positions, maxKl, top1Agreement: agreements / positions };
}

function logSumExp(values: Float32Array): number {
  let top = -Infinity;
  for (const value of values) top = Math.max(top, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - top);
  return top + Math.log(sum);
}
