"use client";

import Link from "next/link";
import { useBundles } from "@/components/bundles";
import { FetchCard } from "@/components/chat/FetchCard";
import { Disclosure } from "@/components/ui/Field";
import { formatBytes, formatCount } from "@/components/ui/format";
import { LayerStrip } from "@/components/ui/LayerStrip";
import { Notice } from "@/components/ui/Notice";
import type { ListedFamily, ListedFile } from "@/lib/home/listing";

/** All families with their variants and files. */
export function FamilyList() {
  const bundles = useBundles();
  if (bundles.isPending) return <p className="text-ink-3">Reading the list of models…</p>;
  if (bundles.isError) return <Notice tone="bad" message={bundles.error.message} action="Check that the server is running (npm start), then reload." />;
  if (bundles.data.families.length === 0) {
    return <Notice tone="warn" message="There is no model here." action="Restore public/models from the project's repository, or export a bundle into the home folder." />;
  }
  return (
    <ul className="grid grid-cols-[minmax(0,1fr)] gap-6">
      {bundles.data.families.map((family) => (
        <li key={family.family}>
          <FamilyCard family={family} />
        </li>
      ))}
    </ul>
  );
}

function FamilyCard({ family }: { family: ListedFamily }) {
  const { shape } = family;
  const total = family.files.reduce((sum, file) => sum + file.bytes, 0);
  const present = family.files.filter(({ state }) => state === "present").reduce((sum, file) => sum + file.bytes, 0);
  const facts: [string, string][] = [
    ...(shape
      ? ([
          ["Layers", String(shape.layers)],
          ["Width", String(shape.width)],
          ["Heads", `${shape.heads} query, ${shape.keyValueHeads} key/value`],
          ["Vocabulary", formatCount(shape.vocabulary)],
          ["Context", formatCount(shape.context)],
        ] satisfies [string, string][])
      : []),
    ["On disk", present === total ? formatBytes(total) : `${formatBytes(present)} of ${formatBytes(total)}`],
    ["Licence", family.license || "not stated"],
  ];
  return (
    <article aria-label={family.title} className="rounded-xl border border-line bg-surface">
      <header className="grid gap-3 p-5">
        <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
          <h2 className="text-base font-semibold tracking-tight">{family.title}</h2>
          <code className="font-mono text-xs text-ink-3">{family.family}</code>
        </div>
        {family.description && <p className="max-w-3xl text-ink-2">{family.description}</p>}
        {family.problem && <Notice tone="bad" message={family.problem.message} action={family.problem.action} />}
        {family.fetchable && (
          <div className="max-w-2xl">
            <FetchCard family={family} />
          </div>
        )}
        {!family.problem && (
          <dl className="tabular flex flex-wrap gap-x-7 gap-y-2 text-[13px]">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt className="text-2xs text-ink-3">{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
        {family.source && <p className="text-xs text-ink-3 [overflow-wrap:anywhere]">Source: {family.source}</p>}
      </header>
      {family.variants.length > 0 && <Variants family={family} />}
      {family.files.length > 0 && (
        <div className="px-5">
          <Disclosure title="Files" aside={`${family.files.length} files`}>
            <Files files={family.files} />
          </Disclosure>
        </div>
      )}
    </article>
  );
}

function Variants({ family }: { family: ListedFamily }) {
  const sizes = new Map(family.files.map(({ name, bytes }) => [name, bytes]));
  return (
    <div className="relative overflow-x-auto border-t border-line">
      <table className="w-full min-w-[34rem] text-[13px]">
        <thead className="text-left text-2xs text-ink-3">
          <tr>
            <th className="py-2 pr-4 pl-5 font-normal">Variant</th>
            <th className="w-2/5 py-2 pr-4 font-normal">Layers</th>
            <th className="py-2 pr-4 text-right font-normal">Weights</th>
            <th className="py-2 pr-5 text-right font-normal">
              <span className="sr-only">Action</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {family.variants.map((variant) => (
            <tr key={variant.name} className="border-t border-line">
              <th scope="row" className="py-2 pr-4 pl-5 text-left font-medium">
                {variant.title} <code className="ml-1 font-mono text-2xs font-normal text-ink-3">{variant.name}</code>{" "}
                {variant.draft && <span className="ml-1 rounded border border-line px-1 text-2xs font-normal text-ink-2">{variant.features ? "draft on features" : "draft"}</span>}
              </th>
              <td className="py-2 pr-4">
                <LayerStrip layers={variant.layers} size="compact" />
              </td>
              <td className="py-2 pr-4 text-right whitespace-nowrap text-ink-2">{formatBytes(variant.files.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0))}</td>
              <td className="py-2 pr-5 text-right">
                {variant.ready ? (
                  <Link
                    href={variant.features ? `/speculate?family=${family.family}&draft=${variant.name}` : `/chat?family=${family.family}&variant=${variant.name}`}
                    className="text-accent underline-offset-4 hover:underline"
                  >
                    {variant.features ? "Speculate" : "Chat"}
                  </Link>
                ) : (
                  <span className="text-ink-3">files missing</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const states = {
  present: { text: "present", color: "text-ink-2" },
  missing: { text: "missing", color: "text-warn" },
  "wrong-size": { text: "wrong size", color: "text-bad" },
} as const;

function Files({ files }: { files: ListedFile[] }) {
  return (
    <div className="relative overflow-x-auto">
      <table className="w-full min-w-[34rem] text-xs">
        <thead className="text-left text-2xs text-ink-3">
          <tr>
            <th className="py-1 pr-4 font-normal">File</th>
            <th className="py-1 pr-4 font-normal">Use</th>
            <th className="py-1 pr-4 text-right font-normal">Size</th>
            <th className="py-1 pr-4 font-normal">SHA-256</th>
            <th className="py-1 font-normal">State</th>
          </tr>
        </thead>
        <tbody>
          {files.map((file) => (
            <tr key={file.name} className="border-t border-line">
              <td className="py-1 pr-4 font-mono">{file.name}</td>
              <td className="py-1 pr-4 text-ink-2">{file.use}</td>
              <td className="py-1 pr-4 text-right whitespace-nowrap">{formatBytes(file.bytes)}</td>
              <td className="py-1 pr-4 font-mono text-ink-3" title={file.sha256}>
                {file.sha256.slice(0, 12)}
              </td>
              <td className={`py-1 whitespace-nowrap ${states[file.state].color}`}>
                {states[file.state].text}
                {file.place && <span className="text-ink-3">, {file.place === "home" ? "home folder" : "shipped"}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
