/** Columns that grow: one of float64 for places, one of float32 for each measure. */

const FIRST = 256;

/** A column of numbers. `values` may be longer than the table; what is past its length is not set. */
export interface Column {
  values: Float64Array | Float32Array;
}

/** The lines of one kind (`train`, `eval`): places in float64, measures in float32, NaN where a line lacks one. */
export class Table {
  length = 0;
  #capacity = FIRST;
  readonly step: Column = { values: new Float64Array(FIRST) };
  readonly tokens: Column = { values: new Float64Array(FIRST) };
  /** Seconds since 1970 by the clock of the writer, which here never goes back: see MetricLines. */
  readonly time: Column = { values: new Float64Array(FIRST) };
  readonly stage: Column = { values: new Float32Array(FIRST) };
  readonly measures = new Map<string, Column>();

  /** A measure's column, made with NaN for the lines so far if it is new. */
  measure(name: string): Column {
    const known = this.measures.get(name);
    if (known) return known;
    const column: Column = { values: new Float32Array(this.#capacity).fill(NaN) };
    this.measures.set(name, column);
    return column;
  }

  /** Room for one more line, at index `length`, whose measures are NaN; the caller then raises `length`. */
  reserve(): void {
    if (this.length < this.#capacity) return;
    this.#capacity *= 2;
    for (const column of [this.step, this.tokens, this.time]) {
      const grown = new Float64Array(this.#capacity);
      grown.set(column.values);
      column.values = grown;
    }
    for (const column of [this.stage, ...this.measures.values()]) {
      const grown = new Float32Array(this.#capacity);
      grown.set(column.values);
      if (column !== this.stage) grown.fill(NaN, this.length);
      column.values = grown;
    }
  }

  /** Bytes that the columns take. */
  get bytes(): number {
    return this.#capacity * (3 * 8 + 4 * (1 + this.measures.size));
  }
}
