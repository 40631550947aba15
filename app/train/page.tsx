import type { Metadata } from "next";
import { Suspense } from "react";
import { RunsPage } from "@/components/train/runs/RunsPage";

export const metadata: Metadata = { title: "Train" };

export default function Page() {
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the runs…</p>}>
      <RunsPage />
    </Suspense>
  );
}
