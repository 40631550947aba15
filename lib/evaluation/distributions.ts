/** Next-token distributions from logits, row by row: what is kept of one model, and the divergence between two. */
import { TOP } from "./types";

/** What is kept of one model's distributions over a text of T tokens. */
export class Distributions {
  /** log of the sum of exp(logit) at each position, float64: log p = logit - logNormaliser. */
  readonly logNormaliser: Float64Array;
  readonly topIds: Int32Array;
  readonly topProbabilities: Float32Array;
  /** Log-probability of the text's next token, nat; NaN at the last position. */
  readonly logProbability: Float32Array;

  constructor(private readonly tokens: readonly number[]) {
    const count = tokens.length;
    this.logNormaliser = new Float64Array(count);
    this.topIds = new Int32Array(count * TOP).fill(-1);
    this.topProbabilities = new Float32Array(count * TOP);
    this.logProbability = new Float32Array(count).fill(NaN);
  }

  /** Takes the logits (one vocabulary) at `position`. The likeliest of equals is the one with the lowest id. */
  set(position: number, logits: Float32Array): void {
    const values = new Float64Array(TOP).fill(-Infinity);
    const ids = this.topIds.subarray(position * TOP, (position + 1) * TOP).fill(-1);
    for (let id = 0, least = -Infinity; id < logits.length; id++) {
      const value = logits[id]!;
      if (!(value > least)) continue;
      let place = TOP - 1;
      for (; place > 0 && value > values[place - 1]!; place--) {
        values[place] = values[place - 1]!;
        ids[place] = ids[place - 1]!;
      }
      values[place] = value;
      ids[place] = id;
      least = values[TOP - 1]!;
    }
    const highest = values[0]!;
    let sum = 0;
    for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - highest);
    const logNormaliser = highest + Math.log(sum);
    this.logNormaliser[position] = logNormaliser;
    for (let place = 0; place < TOP; place++) this.topProbabilities[position * TOP + place] = Math.exp(values[place]! - logNormaliser);
    const next = this.tokens[position + 1];
    if (next !== undefined) this.logProbability[position] = (logits[next] ?? NaN) - logNormaliser;
  }
}

/** KL(teacher || student) in nat, from two rows of logits and their log normalisers. */
export function divergence(teacher: Float32Array, teacherNormaliser: number, student: Float32Array, studentNormaliser: number): number {
  let sum = 0;
  for (let id = 0; id < teacher.length; id++) {
    const logTeacher = teacher[id]! - teacherNormaliser;
    sum += Math.exp(logTeacher) * (logTeacher - (student[id]! - studentNormaliser));
  }
  return Math.max(0, sum); // rounding alone makes it negative
}
