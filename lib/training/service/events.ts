/** Events to all open tabs, numbered, and kept for a while so that a tab that reconnects misses nothing. */
import { randomBytes } from "node:crypto";
import type { TrainingEvent } from "../types";

/** `data`: the event as JSON, made once for all tabs. */
export type NumberedEvent = { id: string; event: TrainingEvent; data: string };
/** The run whose metrics, log and samples a tab wants. */
export type Interest = { node: string; run: string } | null;
type Subscriber = { interest: Interest; tell: (event: NumberedEvent) => void };

/** Events, and characters of them, that are kept for tabs that come back. */
const kept = { events: 2000, characters: 8 * 1024 * 1024 };

export class EventHub {
  /** Tells this server's numbers from those of one before it. */
  private readonly epoch = randomBytes(4).toString("hex");
  private next = 1;
  private readonly past: { number: number; event: TrainingEvent; data: string }[] = [];
  private characters = 0;
  private readonly subscribers = new Set<Subscriber>();

  get size(): number {
    return this.subscribers.size;
  }

  publish(event: TrainingEvent): void {
    const number = this.next++;
    const data = JSON.stringify(event);
    this.past.push({ number, event, data });
    this.characters += data.length;
    while (this.past.length > kept.events || this.characters > kept.characters) this.characters -= this.past.shift()?.data.length ?? 0;
    const numbered = { id: this.idOf(number), event, data };
    for (const subscriber of this.subscribers) if (concerns(event, subscriber.interest)) subscriber.tell(numbered);
  }

  /** Every event from now on; first those since `lastId`, if they are still known. Returns the way to end it. */
  subscribe(interest: Interest, lastId: string | null, tell: (event: NumberedEvent) => void): () => void {
    const subscriber = { interest, tell };
    const since = this.numberOf(lastId);
    const first = this.past[0]?.number ?? this.next;
    const resumed = since !== null && since >= first - 1 && since < this.next;
    const hello = { type: "hello", time: Date.now() / 1000, resumed } as const;
    tell({ id: this.idOf(resumed ? since : this.next - 1), event: hello, data: JSON.stringify(hello) });
    if (resumed) {
      for (const { number, event, data } of this.past) if (number > since && concerns(event, interest)) tell({ id: this.idOf(number), event, data });
    }
    this.subscribers.add(subscriber);
    return () => void this.subscribers.delete(subscriber);
  }

  private idOf(number: number): string {
    return `${this.epoch}-${number}`;
  }

  private numberOf(id: string | null): number | null {
    const found = id === null ? null : /^([0-9a-f]{8})-(\d{1,15})$/.exec(id);
    return found?.[1] === this.epoch ? Number(found[2]) : null;
  }
}

function concerns(event: TrainingEvent, interest: Interest): boolean {
  if (event.type !== "metrics" && event.type !== "log" && event.type !== "samples") return true;
  return interest !== null && event.node === interest.node && event.id === interest.run;
}
