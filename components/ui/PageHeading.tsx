import type { ReactNode } from "react";

/** Title and one line of purpose at the top of a page. */
export function PageHeading({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="max-w-2xl">
      <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
      {children && <p className="mt-1 text-ink-2">{children}</p>}
    </div>
  );
}
