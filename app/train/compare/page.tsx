import type { Metadata } from "next";
import { Suspense } from "react";
import { ComparePage } from "@/components/train/compare/ComparePage";

export const metadata: Metadata = { title: "Compare runs" };

export default function Page() {
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the runs…</p>}>
      <ComparePage />
    </Suspense>
  );
}
