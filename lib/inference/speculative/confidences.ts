/** How sure drafts have been lately: shares of their probabilities, by class. */

const CLASSES = 10;
/** Weight of the newest draft, once there were many. */
const MEMORY = 0.01;
/** For how many drafts the even shares stand that are there before any. */
const PRIOR = 5;

export type Confidence = { readonly q: number; readonly share: number };

/** The shares add up to 1. */
export class Confidences {
  private readonly classes = Array.from({ length: CLASSES }, (_, index) => ({ q: (index + 0.5) / CLASSES, share: 1 / CLASSES }));
  private seen = PRIOR;

  get all(): readonly Confidence[] {
    return this.classes;
  }

  add(q: number): void {
    const rate = Math.max(1 / ++this.seen, MEMORY);
    for (const entry of this.classes) entry.share *= 1 - rate;
    const entry = this.classes[Math.min(CLASSES - 1, Math.floor(q * CLASSES))]!;
    entry.share += rate;
    entry.q += (rate / entry.share) * (q - entry.q);
  }
}
