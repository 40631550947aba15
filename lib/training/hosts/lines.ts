/** Splits a byte stream into lines without ever holding more than one line of limited length. */

export class LineSplitter {
  private parts: Buffer[] = [];
  private held = 0;

  /** `onLine` gets each line without its end; `onOverflow` is called once when a line is over `limit` bytes, and nothing after. */
  constructor(
    private readonly limit: number,
    private readonly onLine: (line: Buffer) => void,
    private readonly onOverflow: () => void,
  ) {}

  push(chunk: Buffer): void {
    if (this.held > this.limit) return;
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end);
      start = end + 1;
      if (this.held + piece.byteLength > this.limit) {
        this.overflow();
        return;
      }
      const line = this.parts.length === 0 ? piece : Buffer.concat([...this.parts, piece]);
      this.parts = [];
      this.held = 0;
      this.onLine(line);
    }
    if (start < chunk.byteLength) {
      this.parts.push(chunk.subarray(start));
      this.held += chunk.byteLength - start;
      if (this.held > this.limit) this.overflow();
    }
  }

  /** The beginning of a line that has no end yet. */
  rest(): string {
    return Buffer.concat(this.parts).subarray(0, 400).toString("utf8");
  }

  private overflow(): void {
    this.held = this.limit + 1;
    this.parts = [];
    this.onOverflow();
  }
}
