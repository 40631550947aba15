/**
 * Jobs one at a time. A job steps aside at its checkpoints for more urgent ones: those that wait are run to their end inside it, and it
 * goes on where it stood.
 */
import { turn } from "../turn";

export type Job = {
  /** 0 is the most urgent; equals run in the order in which they came. */
  readonly priority: number;
  readonly signal: AbortSignal;
  /** `checkpoint` throws the signal's reason once it is aborted. `run` itself must not reject. */
  readonly run: (checkpoint: () => Promise<void>) => Promise<void>;
};

export class JobQueue {
  private readonly waiting: Job[] = [];
  private running = false;

  add(job: Job): void {
    this.waiting.push(job);
    if (!this.running) void this.work();
  }

  private async work(): Promise<void> {
    this.running = true;
    await this.runAll(Infinity);
    this.running = false;
  }

  /** Runs the waiting jobs that are more urgent than `priority`. */
  private async runAll(priority: number): Promise<void> {
    for (let job = this.next(priority); job; job = this.next(priority)) await this.perform(job);
  }

  private next(priority: number): Job | undefined {
    const [first] = this.waiting.filter((job) => job.priority < priority).sort((a, b) => a.priority - b.priority);
    if (first) this.waiting.splice(this.waiting.indexOf(first), 1);
    return first;
  }

  private perform({ run, signal, priority }: Job): Promise<void> {
    return run(async () => {
      signal.throwIfAborted();
      await turn(); // lets messages through: new jobs, and those that cancel
      await this.runAll(priority);
      signal.throwIfAborted();
    });
  }
}
