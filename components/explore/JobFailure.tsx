"use client";

import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import type { JobName } from "./plan";
import { retry, useProbe } from "./probe";

const names: Record<JobName, string> = { text: "Reading the text", a: "The comparison of A", b: "The comparison of B", inside: "The view of the layer", distances: "Each layer's distance", sweep: "The sweep" };

/** Why a computation did not end, with the way to start it again; nothing while all is well. */
export function JobFailure({ job }: { job: JobName }) {
  const { running, error, cancelled } = useProbe(({ jobs }) => jobs[job]);
  if (running || (!error && !cancelled)) return null;
  return (
    <Notice tone={error ? "bad" : "info"} message={error ? error.message : `${names[job]} was stopped.`} {...(error && { action: error.action })}>
      <Button icon="retry" onClick={() => retry(job)}>
        {error ? "Try again" : "Go on"}
      </Button>
    </Notice>
  );
}
