/**
 * A Mamba-2 mixer as a matrix over the tokens: y = M v without the skip D, where M = L ∘ (C Bᵀ), times dt at the source where the mixer has
 * it, and L_ts = exp(sum of log decays after s up to t) (arXiv 2405.21060, section 3; MOHAWK, arXiv 2408.10189, stage 1). Head h reads
 * group h // (H / G).
 */

/** What a mixer computed on a text: C (T, H·N), B (T, G·N), logDecay and step (T, H), x (T, G·P). */
export type MixerParts = {
  readonly T: number;
  readonly H: number;
  readonly G: number;
  readonly P: number;
  readonly N: number;
  readonly C: Float32Array;
  readonly B: Float32Array;
  readonly logDecay: Float32Array;
  /** dt; null for the discrete form, which has none. */
  readonly step: Float32Array | null;
  readonly x: Float32Array;
};

/** Writes the matrix of one head, (T, T), row t the weights of all sources at target t. */
export function mixingMatrix({ T, H, G, N, C, B, logDecay, step }: MixerParts, head: number, out: Float32Array): void {
  const group = Math.floor(head / (H / G));
  // Sums to t by differences of running sums would cancel; each row sums backwards from its diagonal.
  for (let t = 0; t < T; t++) {
    let log = 0;
    for (let s = t; s >= 0; s--) {
      let product = 0;
      const [c, b] = [(t * H + head) * N, (s * G + group) * N];
      for (let n = 0; n < N; n++) product += C[c + n]! * B[b + n]!;
      out[t * T + s] = Math.exp(log) * product * (step ? step[s * H + head]! : 1);
      log += logDecay[s * H + head]!;
    }
    out.fill(0, t * T + t + 1, (t + 1) * T);
  }
}

/** exp(log decay), (H, T). */
export function decayOf({ T, H, logDecay }: MixerParts): Float32Array {
  return Float32Array.from({ length: H * T }, (_, i) => Math.exp(logDecay[(i % T) * H + Math.floor(i / T)]!));
}

/** Writes the Frobenius norm of one head's state S_t = decay_t S_{t-1} + B_t v_tᵀ after each token. */
export function stateNorms({ T, H, G, P, N, B, logDecay, step, x }: MixerParts, head: number, out: Float32Array): void {
  const group = Math.floor(head / (H / G));
  const state = new Float64Array(N * P);
  for (let t = 0; t < T; t++) {
    const keep = Math.exp(logDecay[t * H + head]!);
    const gain = step ? step[t * H + head]! : 1;
    let sum = 0;
    for (let n = 0; n < N; n++) {
      const input = gain * B[(t * G + group) * N + n]!;
      for (let p = 0; p < P; p++) {
        const next = keep * state[n * P + p]! + input * x[(t * G + group) * P + p]!;
        state[n * P + p] = next;
        sum += next * next;
      }
    }
    out[t] = Math.sqrt(sum);
  }
}

/** ||b - a||_F / ||a||_F, and the cosine of both as vectors. */
export function matrixDistance(a: Float32Array, b: Float32Array): { relativeError: number; cosine: number } {
  let [aa, bb, ab, difference] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    aa += x * x;
    bb += y * y;
    ab += x * y;
    difference += (y - x) ** 2;
  }
  return { relativeError: Math.sqrt(difference / aa), cosine: aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0 };
}
