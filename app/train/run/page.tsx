import type { Metadata } from "next";
import { Suspense } from "react";
import { RunPage } from "@/components/train/run/RunPage";

export const metadata: Metadata = { title: "Run" };

export default function Page() {
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the run…</p>}>
      <RunPage />
    </Suspense>
  );
}
