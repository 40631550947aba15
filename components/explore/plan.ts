/** Which computation comes next: one at a time, what the visitor waits for first; the sweep runs beside them, when nothing else is left. */
export const jobNames = ["text", "a", "b", "inside", "distances", "sweep"] as const;
export type JobName = (typeof jobNames)[number];

/** For each job the key of what is wanted, of what there is, and of what failed or was cancelled (and is not tried again by itself). */
export type Keys = Readonly<Record<JobName, string | null>>;

export const noKeys: Keys = { text: null, a: null, b: null, inside: null, distances: null, sweep: null };

/** Whether a job's result is missing or out of date, and is to be computed. */
export function isDue(job: JobName, wanted: Keys, done: Keys, refused: Keys): boolean {
  const key = wanted[job];
  if (key === null || key === done[job] || key === refused[job]) return false;
  // All others are about the text as it was read.
  return job === "text" || (wanted.text !== null && wanted.text === done.text);
}

/** The next job to start, in order of importance; null: nothing is due. */
export function nextJob(wanted: Keys, done: Keys, refused: Keys): JobName | null {
  return jobNames.find((job) => isDue(job, wanted, done, refused)) ?? null;
}

/** Whether a running job should end: its result is not wanted any more, or something more important is due (which the sweep yields to by itself). */
export function isObsolete(job: JobName, key: string, wanted: Keys, done: Keys, refused: Keys): boolean {
  if (wanted[job] !== key) return true;
  if (job === "sweep") return isDue("text", wanted, done, refused);
  const next = nextJob(wanted, done, refused);
  return next !== null && jobNames.indexOf(next) < jobNames.indexOf(job);
}
