import type { Metadata } from "next";
import { Suspense } from "react";
import { SpeculatePage } from "@/components/speculate/SpeculatePage";
import { readResults } from "@/lib/home/results";

export const metadata: Metadata = { title: "Speculate" };
export const dynamic = "force-dynamic";

export default async function Page() {
  const results = await readResults();
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the list of models…</p>}>
      <SpeculatePage results={results} />
    </Suspense>
  );
}
