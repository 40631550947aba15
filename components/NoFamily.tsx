"use client";

import type { UseQueryResult } from "@tanstack/react-query";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import type { BundleList } from "@/lib/home/listing";

/** What a page shows that has no family to show yet: that the list is read, why it could not be, or that it is empty. */
export function NoFamily({ bundles, waiting }: { bundles: UseQueryResult<BundleList>; waiting: boolean }) {
  if (bundles.isPending || (waiting && !bundles.isError)) return <p className="p-6 text-ink-2">Reading the list of models…</p>;
  return (
    <div className="mx-auto w-full max-w-xl p-6">
      {bundles.isError ? (
        <Notice tone="bad" message={bundles.error.message} action="Check that the server is running (npm start), then try again.">
          <Button icon="retry" onClick={() => void bundles.refetch()}>
            Try again
          </Button>
        </Notice>
      ) : (
        <Notice tone="warn" message="There is no model here." action="Restore public/models from the project's repository, or export a bundle into the home folder." />
      )}
    </div>
  );
}
