/** A model's hidden states by position, on the CPU: what a feature draft reads beside the tokens (EAGLE, arXiv 2401.15077). */
export class HiddenStates {
  private rows: Float32Array | null = null;
  /** The rows held are those of one stretch of positions: `begin` up to, but not including, `end`. */
  private begin = 0;
  private end = 0;
  private snapshot: { readonly begin: number; readonly rows: Float32Array } | null = null;

  /** `width`: D, numbers a row. */
  constructor(
    readonly contextLength: number,
    readonly width: number,
  ) {}

  /** Sets the rows (n x D) of the tokens from `position` on. Rows behind them are held no more, nor are those before a gap that they leave. */
  write(position: number, rows: Float32Array): void {
    const { width, contextLength } = this;
    const count = rows.length / width;
    if (!Number.isInteger(count)) throw new RangeError(`${rows.length} numbers are no rows of ${width}.`);
    if (position < 0 || position + count > contextLength) throw new RangeError(`${count} rows at position ${position} of a context of ${contextLength}.`);
    this.rows ??= new Float32Array(contextLength * width);
    this.rows.set(rows, position * width);
    if (position < this.begin || position > this.end) this.begin = position;
    this.end = position + count;
  }

  /**
   * The features of the `count` tokens from `position` on, (count, D): a copy of the rows of the tokens before each of them, zeros before a text's first
   * token. Throws RangeError if they are not held.
   */
  before(position: number, count: number): Float32Array<ArrayBuffer> {
    const { width, begin, end } = this;
    const [from, to] = [position - 1, position - 1 + count];
    const features = new Float32Array(count * width);
    const first = Math.max(0, from);
    if (first >= to) return features;
    if (!this.rows || first < begin || to > end) throw new RangeError(`Hidden states of tokens ${first} to ${to - 1} are wanted; ${begin} to ${end - 1} are held.`);
    features.set(this.rows.subarray(first * width, to * width), (first - from) * width);
    return features;
  }

  /** Keeps the rows of the first `length` tokens, in place of an earlier snapshot. */
  saveSnapshot(length: number): void {
    const begin = Math.min(this.begin, length);
    const end = Math.max(begin, Math.min(this.end, length));
    this.snapshot = { begin, rows: this.rows?.slice(begin * this.width, end * this.width) ?? new Float32Array() };
  }

  /** Back to the snapshot's rows, which stay. */
  restoreSnapshot(): void {
    if (!this.snapshot) throw new Error("There is no snapshot.");
    const { begin, rows } = this.snapshot;
    this.rows?.set(rows, begin * this.width);
    this.begin = begin;
    this.end = begin + rows.length / this.width;
  }

  /** Back to no rows. The snapshot stays. */
  reset(): void {
    this.begin = this.end = 0;
  }

  get snapshotBytes(): number {
    return this.snapshot?.rows.byteLength ?? 0;
  }

  /** Everything allocated, the snapshot included. */
  get reservedBytes(): number {
    return (this.rows?.byteLength ?? 0) + this.snapshotBytes;
  }
}

/** The features of a pass over `count` tokens, as a graph of this width of `features` takes them (null: none), or an error that says what is wrong. */
export function featuresOf(width: number | null, count: number, features: Float32Array | undefined): Float32Array | null {
  if (width === null) {
    if (features) throw new Error("Features were given to a model that takes none.");
    return null;
  }
  if (features?.length !== count * width) throw new Error(`A feature draft's pass over ${count} tokens takes ${count} x ${width} features; ${features?.length ?? "none"} were given.`);
  return features;
}
