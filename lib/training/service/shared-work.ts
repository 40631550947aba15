/** Work of which one goes on at a time under a name, however many wait for it; those who come later get what it has told. */
import { errorBody } from "./errors";

type Told = { type: string };
type Job<E extends Told> = { listeners: Set<(event: E) => void>; past: E[]; abort: AbortController; ended: Promise<void> };

export class SharedWork<E extends Told> {
  private readonly jobs = new Map<string, Job<E>>();

  /**
   * failed: the event that tells of an error; nothing follows it.
   * replay: what those who come later get: the last event (progress), or all (steps).
   */
  constructor(
    private readonly failed: (error: ReturnType<typeof errorBody>) => E,
    private readonly replay: "last" | "all" = "last",
  ) {}

  has(name: string): boolean {
    return this.jobs.has(name);
  }

  /** Joins the work of this name, or starts it. Returns a way to listen to it, which returns the way to stop. `work` tells its own end. */
  join(name: string, work: (tell: (event: E) => void, signal: AbortSignal) => Promise<void>): (listener: (event: E) => void) => () => void {
    const job = this.jobs.get(name) ?? this.start(name, work);
    return (listener) => {
      job.listeners.add(listener);
      for (const event of job.past) listener(event);
      return () => void job.listeners.delete(listener);
    };
  }

  /** How many wait for it. */
  waiting(name: string): number {
    return this.jobs.get(name)?.listeners.size ?? 0;
  }

  /** Ends it for all. False if none goes on. */
  cancel(name: string): boolean {
    const job = this.jobs.get(name);
    job?.abort.abort();
    return job !== undefined;
  }

  cancelAll(): void {
    for (const name of this.jobs.keys()) this.cancel(name);
  }

  private start(name: string, work: (tell: (event: E) => void, signal: AbortSignal) => Promise<void>): Job<E> {
    const job: Job<E> = { listeners: new Set(), past: [], abort: new AbortController(), ended: Promise.resolve() };
    const tell = (event: E) => {
      if (this.replay === "last") job.past.length = 0;
      job.past.push(event);
      for (const listener of job.listeners) listener(event);
    };
    this.jobs.set(name, job);
    job.ended = work(tell, job.abort.signal)
      .catch((error: unknown) => tell(this.failed(errorBody(error))))
      .finally(() => this.jobs.delete(name));
    return job;
  }
}
