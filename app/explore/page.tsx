import type { Metadata } from "next";
import { Suspense } from "react";
import { ExplorePage } from "@/components/explore/ExplorePage";
import { readResults } from "@/lib/home/results";

export const metadata: Metadata = { title: "Explore" };
export const dynamic = "force-dynamic";

export default async function Page() {
  const results = await readResults();
  return (
    <Suspense fallback={<p className="p-6 text-ink-2">Reading the list of models…</p>}>
      <ExplorePage results={results} />
    </Suspense>
  );
}
