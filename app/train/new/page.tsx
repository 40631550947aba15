import type { Metadata } from "next";
import { Suspense } from "react";
import { NewRunPage } from "@/components/train/new/NewRunPage";

export const metadata: Metadata = { title: "New run" };

export default function Page() {
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the form…</p>}>
      <NewRunPage />
    </Suspense>
  );
}
