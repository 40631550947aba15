/** Lets cycles through at the pace that the page asks for. */

export type Pace = { readonly mode: "run" } | { readonly mode: "step" } | { readonly mode: "slow"; readonly delayMs: number };

/** The pace may change while a cycle waits. An aborted signal lets everything through. */
export class Pacer {
  private steps = 0;
  private wake: (() => void) | null = null;

  constructor(
    private pace: Pace,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.wake?.(), { once: true });
  }

  change(pace: Pace): void {
    this.pace = pace;
    this.steps = 0;
    this.wake?.();
  }

  /** One cycle more, in step mode. */
  next(): void {
    this.steps++;
    this.wake?.();
  }

  /** Resolves when the next cycle may begin. */
  async gate(): Promise<void> {
    const began = performance.now();
    while (!this.signal.aborted) {
      const { pace } = this;
      if (pace.mode === "run") return;
      if (pace.mode === "step" && this.steps > 0) {
        this.steps--;
        return;
      }
      const left = pace.mode === "slow" ? pace.delayMs - (performance.now() - began) : Infinity;
      if (left <= 0) return;
      await this.sleep(left);
    }
  }

  private sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(milliseconds) ? setTimeout(() => this.wake?.(), milliseconds) : undefined;
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }
}
