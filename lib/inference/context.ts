/** What the state of a runner holds, and how much of it the next prompt can reuse. */
import type { RollbackRunner, Runner, TentativeRead } from "./runner";
import { turn } from "./turn";

export type PrefillOptions = {
  /** Tokens read at a time: between two chunks the prefill can be stopped and progress shown. */
  readonly chunk: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
};

export class Context<R extends Runner = Runner> {
  private tokens: number[] = [];
  /** Logits at the end of the last prompt, where the snapshot is, so that the same prompt can be answered again at once. */
  private snapshot: { length: number; logits: Float32Array } | null = null;

  /** `features`: of the tokens from a position on, for the runner of a feature draft; not asked for others. */
  constructor(
    private readonly runner: R,
    private readonly features?: (position: number, count: number) => Float32Array,
  ) {}

  get held(): readonly number[] {
    return this.tokens;
  }

  /** Bytes kept for the snapshot beside the runner's own. */
  get snapshotBytes(): number {
    return this.snapshot?.logits.byteLength ?? 0;
  }

  /**
   * Brings the state to the end of `prompt` and returns the logits there (a copy) with the number of tokens that needed no reading.
   *
   * Attention can be cut back to any common prefix. A recurrent state cannot: it serves if the prompt continues all that it holds (the
   * next turn of a conversation), else the snapshot at the end of the last prompt does (another answer to it, or a turn whose
   * answer was edited), else reading starts over.
   */
  async prefill(prompt: readonly number[], { chunk, signal, onProgress }: PrefillOptions): Promise<{ logits: Float32Array; reused: number }> {
    const { runner, snapshot } = this;
    const common = commonPrefix(this.tokens, prompt);
    if (snapshot && snapshot.length === prompt.length && common >= snapshot.length) {
      await runner.restoreSnapshot();
      this.tokens.length = snapshot.length;
      return { logits: snapshot.logits, reused: snapshot.length };
    }
    const usable = Math.min(common, prompt.length - 1); // the last token is always read, for its logits
    if (runner.canTruncate) {
      runner.truncate(usable);
      this.tokens.length = usable;
    } else if (this.tokens.length > usable) {
      if (snapshot && snapshot.length <= usable) await runner.restoreSnapshot();
      else runner.reset();
      this.tokens.length = runner.position;
    }
    this.snapshot = null;
    const reused = this.tokens.length;
    let logits = new Float32Array();
    while (this.tokens.length < prompt.length) {
      await turn();
      signal?.throwIfAborted();
      onProgress?.(this.tokens.length, prompt.length);
      logits = Float32Array.from(await this.read(prompt.slice(this.tokens.length, this.tokens.length + chunk)));
    }
    onProgress?.(prompt.length, prompt.length);
    await runner.saveSnapshot();
    this.snapshot = { length: prompt.length, logits };
    return { logits, reused };
  }

  /** Reads tokens behind those held; the logits are the runner's own, valid until the next call. */
  async read(tokens: readonly number[]): Promise<Float32Array> {
    const { runner, features } = this;
    const logits = await (runner.takesFeatures ? runner.forward(tokens, features?.(this.tokens.length, tokens.length)) : runner.forward(tokens));
    this.tokens.push(...tokens);
    return logits;
  }

  /** Reads tokens that may be taken back: they are not held until `keep` says so. */
  readTentatively(this: Context<RollbackRunner>, tokens: readonly number[], options: TentativeRead): Promise<Float32Array> {
    return this.runner.read(tokens, options);
  }

  /** Holds `tokens`, the first of those read tentatively, and takes the others back. */
  keep(this: Context<RollbackRunner>, tokens: readonly number[]): void {
    this.runner.keep(tokens.length);
    this.tokens.push(...tokens);
  }

  clear(): void {
    this.runner.reset();
    this.tokens = [];
    this.snapshot = null;
  }
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
