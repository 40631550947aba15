import type { Metadata } from "next";
import { FamilyList } from "@/components/models/FamilyList";
import { BrowserCache } from "@/components/models/BrowserCache";
import { ResultsTable } from "@/components/models/ResultsTable";
import { PageHeading } from "@/components/ui/PageHeading";
import { readResults } from "@/lib/home/results";

export const metadata: Metadata = { title: "Models" };
export const dynamic = "force-dynamic";

export default async function ModelsPage() {
  const results = await readResults();
  return (
    <div className="mx-auto grid w-full max-w-6xl grid-cols-[minmax(0,1fr)] gap-12 px-4 py-8 sm:px-6">
      <section className="grid grid-cols-[minmax(0,1fr)] gap-6">
        <PageHeading title="Models">The families this server has, their variants, and the files they are made of.</PageHeading>
        <FamilyList />
      </section>
      <section aria-labelledby="cache-heading" className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <h2 id="cache-heading" className="text-base font-semibold tracking-tight">
          In this browser
        </h2>
        <BrowserCache />
      </section>
      <section aria-labelledby="results-heading" className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <h2 id="results-heading" className="text-base font-semibold tracking-tight">
          Results
        </h2>
        <ResultsTable files={results} />
      </section>
    </div>
  );
}
