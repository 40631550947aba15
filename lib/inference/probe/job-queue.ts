/**
 * Jobs one at a time, in order. A background job steps aside at its checkpoints: jobs that wait are run to their end inside it, so that
 * it goes on where it stood.
 */
import { turn } from "../turn";

export type Job = {
  /** `checkpoint` throws the signal's reason once it is aborted. Must not reject otherwise. */
  readonly run: (checkpoint: () => Promise<void>) => Promise<void>;
  readonly signal: AbortSignal;
  readonly background: boolean;
};

export class JobQueue {
  private readonly waiting: Job[] = [];
  private readonly background: Job[] = [];
  private running = false;

  add(job: Job): void {
    (job.background ? this.background : this.waiting).push(job);
    if (!this.running) void this.work();
  }

  private async work(): Promise<void> {
    this.running = true;
    for (let job = this.next(); job; job = this.next()) await this.perform(job);
    this.running = false;
  }

  private next(): Job | undefined {
    return this.waiting.shift() ?? this.background.shift();
  }

  private perform({ run, signal, background }: Job): Promise<void> {
    return run(async () => {
      signal.throwIfAborted();
      await turn(); // lets messages through: new jobs, and those that cancel
      if (background) for (let job = this.waiting.shift(); job; job = this.waiting.shift()) await this.perform(job);
      signal.throwIfAborted();
    });
  }
}
