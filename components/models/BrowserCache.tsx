"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useBundles } from "@/components/bundles";
import { Button, IconButton } from "@/components/ui/Button";
import { formatBytes } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { openWeightCache } from "@/lib/weights/cache";

const key = ["browser-cache"] as const;
const kinds = { opfs: "the browser's private file system", "cache-storage": "Cache Storage", memory: "memory, until the page is closed" } as const;

/** The weights that this browser keeps, with the way to delete them. */
export function BrowserCache() {
  const queries = useQueryClient();
  const bundles = useBundles();
  const contents = useQuery({ queryKey: key, queryFn: async () => (await openWeightCache()).contents(), staleTime: 0 });
  const remove = useMutation({
    mutationFn: async (checksum: string | null) => {
      const cache = await openWeightCache();
      await (checksum === null ? cache.clear() : cache.delete(checksum));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: key }),
  });

  if (contents.isPending) return <p className="text-ink-3">Looking at the browser&apos;s storage…</p>;
  if (contents.isError) return <Notice tone="warn" message="The browser's storage cannot be read." action="Leave private browsing or allow this site to store data." />;
  const { kind, entries, bytes } = contents.data;
  if (entries.length === 0) return <p className="text-ink-2">No weights are kept here yet. They are kept when a model is loaded.</p>;

  const names = new Map(bundles.data?.families.flatMap(({ title, files }) => files.map((file) => [file.sha256, { family: title, name: file.name }] as const)));
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      {remove.isError && <Notice tone="bad" message="The files could not be deleted." action="Close other tabs of this site, then try again." />}
      <div className="flex flex-wrap items-center gap-3">
        <p className="tabular text-ink-2">
          {formatBytes(bytes)} in {entries.length} {entries.length === 1 ? "file" : "files"}, kept in {kinds[kind]}.
        </p>
        <Button look="danger" icon="trash" disabled={remove.isPending} onClick={() => remove.mutate(null)}>
          Delete all
        </Button>
      </div>
      <div className="relative overflow-x-auto rounded-xl border border-line bg-surface">
        <table className="w-full min-w-[30rem] text-xs">
          <thead className="text-left text-2xs text-ink-3">
            <tr>
              <th className="py-2 pr-4 pl-5 font-normal">Family</th>
              <th className="py-2 pr-4 font-normal">File</th>
              <th className="py-2 pr-4 text-right font-normal">Size</th>
              <th className="w-12 py-2 pr-4">
                <span className="sr-only">Action</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {[...entries]
              .map((entry) => ({ ...entry, known: names.get(entry.key) }))
              .sort((a, b) => (a.known?.name ?? a.key).localeCompare(b.known?.name ?? b.key))
              .map((entry) => (
                <tr key={entry.key} className="border-t border-line">
                  <td className="py-1 pr-4 pl-5">{entry.known?.family ?? <span className="text-ink-3">no longer in use</span>}</td>
                  <td className="py-1 pr-4 font-mono">{entry.known?.name ?? entry.key.slice(0, 12)}</td>
                  <td className="py-1 pr-4 text-right whitespace-nowrap">{formatBytes(entry.bytes)}</td>
                  <td className="py-1 pr-4">
                    <IconButton icon="trash" label={`Delete ${entry.known?.name ?? entry.key.slice(0, 12)}`} disabled={remove.isPending} onClick={() => remove.mutate(entry.key)} />
                  </td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
