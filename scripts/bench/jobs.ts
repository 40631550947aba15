/** Work spread over processes of this script, a task at a time each. */
import { type ChildProcess, fork } from "node:child_process";

export type Jobs<Task, Part> = {
  /** Processes at a time. */
  readonly jobs: number;
  /** The script's arguments in them. */
  readonly arguments: readonly string[];
  /** Whether a task suits a process that did `last`. */
  readonly likes: (task: Task, last: Task) => boolean;
  /** Hears of each part of a task's result as it comes, and of its end. */
  readonly onPart: (part: Part) => Promise<void>;
  readonly onDone: (task: Task) => void;
};

type Message<Part> = { readonly part: Part } | { readonly error: string } | { readonly done: true };

/** Does all tasks, in no certain order. Throws what the first process that fails says; the others are ended. */
export async function runJobs<Task, Part>(tasks: readonly Task[], { jobs, arguments: given, likes, onPart, onDone }: Jobs<Task, Part>): Promise<void> {
  const waiting = [...tasks];
  const children: ChildProcess[] = [];
  /** The task that suits best: one that the process likes, else one of those that most tasks resemble, so that few processes share them. */
  const take = (last: Task | null): Task | undefined => {
    const liked = last === null ? -1 : waiting.findIndex((task) => likes(task, last));
    if (liked >= 0) return waiting.splice(liked, 1)[0];
    const rest = waiting.map((task) => waiting.filter((other) => likes(other, task)).length);
    return waiting.splice(rest.indexOf(Math.max(...rest)), 1)[0];
  };
  const one = async (): Promise<void> => {
    let task = take(null);
    if (task === undefined) return;
    const child = fork(process.argv[1] ?? "", given);
    children.push(child);
    while (task !== undefined) {
      await ask(child, task, onPart);
      onDone(task);
      task = take(task);
    }
    child.disconnect();
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, jobs) }, one));
  } finally {
    for (const child of children) if (child.connected) child.kill();
  }
}

/** Waits until the process has done the task and all its parts were heard. */
async function ask<Task, Part>(child: ChildProcess, task: Task, onPart: (part: Part) => Promise<void>): Promise<void> {
  let heard: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    const listen = (message: Message<Part>): void => {
      if ("part" in message) heard = heard.then(() => onPart(message.part));
      else finish("error" in message ? new Error(message.error) : null);
    };
    const ended = (code: number | null, signal: string | null): void => finish(new Error(`A process of this work ended (${signal ?? code}).`));
    const finish = (error: Error | null): void => {
      child.off("message", listen).off("exit", ended);
      if (error) reject(error);
      else resolve();
    };
    child.on("message", listen).on("exit", ended);
    child.send(task as object);
  });
  await heard;
}

/** In such a process: does tasks until the parent ends, or has no more of them. */
export function serveJobs<Task, Part>(work: (task: Task, onPart: (part: Part) => void) => Promise<void>): Promise<never> {
  const send = (message: Message<Part>): void => void process.send?.(message);
  process.on("message", (task: Task) => {
    work(task, (part) => send({ part })).then(
      () => send({ done: true }),
      (error: unknown) => send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  return new Promise(() => process.once("disconnect", () => process.exit()));
}
