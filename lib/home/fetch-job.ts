/** Runs the fetch of a family's base at most once at a time, however many pages listen to it. */
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fetchEventSchema, type FetchEvent } from "./fetch-events";
import { homeFolder, projectRoot } from "./paths";

type Listener = (event: FetchEvent) => void;
type Job = { child: ChildProcess; listeners: Set<Listener>; last: FetchEvent | null; cancelled: boolean };

// Kept on globalThis, because each route may get its own copy of this module.
const store = globalThis as typeof globalThis & { mambascopeFetchJobs?: Map<string, Job> };
const jobs = (store.mambascopeFetchJobs ??= new Map<string, Job>());

/** Joins the running fetch of a family or starts one. The listener gets every event from now on. Returns the way to stop listening. */
export function joinFetch(family: string, listener: Listener): () => void {
  const job = jobs.get(family) ?? startJob(family);
  job.listeners.add(listener);
  if (job.last) listener(job.last);
  return () => job.listeners.delete(listener);
}

/** Ends the running fetch of a family. False if none runs. */
export function cancelFetch(family: string): boolean {
  const job = jobs.get(family);
  if (!job) return false;
  job.cancelled = true;
  job.child.kill("SIGTERM");
  return true;
}

function startJob(family: string): Job {
  const script = path.join(/* turbopackIgnore: true */ projectRoot(), "scripts", "fetch-base.mjs");
  const child = spawn(process.execPath, [script, family, "--json"], {
    cwd: projectRoot(),
    env: { ...process.env, MAMBASCOPE_HOME: homeFolder() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const job: Job = { child, listeners: new Set(), last: null, cancelled: false };
  jobs.set(family, job);
  const tell = (event: FetchEvent) => {
    job.last = event;
    for (const listener of job.listeners) listener(event);
  };

  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = parseEvent(line);
    if (event) tell(event);
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString("utf8")).slice(-2000);
  });

  let ended = false;
  const end = (fallback: FetchEvent) => {
    if (ended) return;
    ended = true;
    jobs.delete(family);
    if (job.last?.type !== "done" && job.last?.type !== "error") tell(fallback);
  };
  child.on("error", (error) => end({ type: "error", code: "spawn", message: `The fetch could not start: ${error.message}.`, action: "Try again." }));
  child.on("close", (code) =>
    end(
      job.cancelled
        ? { type: "error", code: "cancelled", message: "The fetch was cancelled.", action: "Start it again when you like; finished downloads are kept." }
        : { type: "error", code: "ended", message: `The fetch ended with code ${code ?? "none"}. ${errors.trim()}`.trim(), action: "Try again." },
    ),
  );
  return job;
}

function parseEvent(line: string): FetchEvent | null {
  try {
    return fetchEventSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
