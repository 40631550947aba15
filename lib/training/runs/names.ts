/** The files of a run directory that the dashboard reads. */
export const runFileNames = [
  "config.json",
  "status.json",
  "progress.json",
  "job.json",
  "launch.json",
  "notes.json",
  "metrics.jsonl",
  "samples.jsonl",
  "evaluation.json",
  "log.txt",
] as const;
export type RunFileName = (typeof runFileNames)[number];
