/** A run as the commands of a shell, to be shown. */
import { jobCommands } from "../config/commands";
import type { ConfigDocument, Job } from "../types";
import { trainStep } from "./job-steps";

/** One command a step; of a run without a job, its training. `gpus`: those of its node, null if not known. */
export function commandsOf(config: ConfigDocument, job: Job | null, id: string, gpus: number | null): string[] {
  const launcher = job?.launcher ?? { kind: "process" as const, gpus: "all" as const };
  return jobCommands({ config, steps: job?.steps ?? [trainStep(launcher)], launcher, gpus, run: id });
}
