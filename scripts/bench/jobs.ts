/** Work spread over processes of this script, a task at a time each. */
import { type ChildProcess, fork } from "node:child_process";

export type Jobs<Task, Result> = {
  /** Processes at a time. */
  readonly jobs: number;
  /** The script's arguments in them. */
  readonly arguments: readonly string[];
  /** Whether a task suits a process that did `last`. */
  readonly likes: (task: Task, last: Task) => boolean;
  readonly onResult: (task: Task, result: Result) => Promise<void>;
};

type Answer<Result> = { readonly result: Result } | { readonly error: string };

/** Does all tasks, in no certain order. Throws what the first process that fails says; the others are ended. */
export async function runJobs<Task, Result>(tasks: readonly Task[], { jobs, arguments: given, likes, onResult }: Jobs<Task, Result>): Promise<void> {
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
    for (let last = task; task !== undefined; last = task, task = take(last)) await onResult(task, await ask<Task, Result>(child, task));
    child.disconnect();
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, jobs) }, one));
  } finally {
    for (const child of children) if (child.connected) child.kill();
  }
}

function ask<Task, Result>(child: ChildProcess, task: Task): Promise<Result> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void => reject(new Error(`A process of this work ended (${signal ?? code}).`));
    child.once("exit", ended);
    child.once("message", (answer: Answer<Result>) => {
      child.off("exit", ended);
      if ("error" in answer) reject(new Error(answer.error));
      else resolve(answer.result);
    });
    child.send(task as object, (error) => error && reject(error));
  });
}

/** In such a process: does tasks until the parent has no more. */
export function serveJobs<Task, Result>(work: (task: Task) => Promise<Result>): Promise<void> {
  process.on("message", (task: Task) => {
    work(task).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  return new Promise((resolve) => process.once("disconnect", resolve));
}
