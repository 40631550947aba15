import type { ReactNode } from "react";
import { PageHeading } from "@/components/ui/PageHeading";

/** A page that is planned: what it will do, and that it is not built yet. */
export function NotBuilt({ title, purpose, figure }: { title: string; purpose: string; figure: ReactNode }) {
  return (
    <div className="mx-auto grid w-full max-w-5xl gap-10 px-4 py-10 sm:px-5 md:grid-cols-[1fr_20rem] md:items-center md:py-20">
      <div>
        <PageHeading title={title}>{purpose}</PageHeading>
        <p className="mt-6 inline-flex items-center gap-2 rounded-md border border-line bg-surface px-3 py-1.5 text-[13px] text-ink-2">
          <span aria-hidden className="size-1.5 rounded-full bg-ink-3" />
          This page is not built yet.
        </p>
      </div>
      <div aria-hidden className="opacity-60">
        {figure}
      </div>
    </div>
  );
}
