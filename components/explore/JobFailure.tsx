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
  if (!error) {
    return (
      <p role="status" className="flex items-center gap-3 text-xs text-ink-2">
        {names[job]} was stopped.
        <Button icon="retry" className="h-7 px-2 text-xs" onClick={() => retry(job)}>
          Go on
        </Button>
      </p>
    );
  }
  return (
    <Notice tone="bad" message={error.message} action={error.action}>
      <Button icon="retry" onClick={() => retry(job)}>
        Try again
      </Button>
    </Notice>
  );
}
