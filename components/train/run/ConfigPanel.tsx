"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { CopyButton } from "@/components/ui/CopyButton";
import { Segmented } from "@/components/ui/Field";
import { diffConfigs } from "@/lib/training/config/diff";
import type { RunDetail } from "@/lib/training/types";
import { withDefaults } from "../compare/config-rows";
import { Empty } from "./SamplesPanel";

/** The run's config as it was used, how it differs from where it started, and the same run on a command line. */
export function ConfigPanel({ run }: { run: RunDetail }) {
  const { config, preset } = run;
  const [wanted, setView] = useState<"changes" | "all">("changes");
  const from = usePreset(preset);
  if (!config) return <Empty text="The run has no config yet." />;
  const base = from.data ?? null;
  const view = base ? wanted : "all";
  const differences = base ? diffConfigs(withDefaults(base.config), withDefaults(config)) : [];
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-5">
      <section className="grid grid-cols-[minmax(0,1fr)] gap-3">
        <div className="flex flex-wrap items-end gap-3">
          {base && (
            <Segmented
              label="Show"
              value={view}
              options={[
                { value: "changes", label: `Against preset ${base.title}` },
                { value: "all", label: "Whole config" },
              ]}
              onChange={setView}
            />
          )}
          <span className="ml-auto flex items-center gap-1 text-2xs text-ink-3">
            Copy JSON <CopyButton label="Copy the config" text={() => JSON.stringify(config, null, 2)} />
          </span>
        </div>
        {view === "changes" ? (
          differences.length === 0 ? (
            <p className="text-[13px] text-ink-2">Exactly the preset.</p>
          ) : (
            <div className="overflow-x-auto rounded-xl border border-line bg-surface" tabIndex={0} role="region" aria-label="Differences from the preset">
              <table className="w-full text-xs">
                <thead className="text-left text-2xs text-ink-3">
                  <tr>
                    <th className="px-4 py-2 font-normal">Field</th>
                    <th className="px-4 py-2 font-normal">Preset</th>
                    <th className="px-4 py-2 font-normal">This run</th>
                  </tr>
                </thead>
                <tbody>
                  {differences.map(({ path, left, right }) => (
                    <tr key={path} className="border-t border-line align-top">
                      <th scope="row" className="px-4 py-1.5 text-left font-mono font-normal">
                        {path}
                      </th>
                      <td className="px-4 py-1.5 font-mono text-ink-2 [overflow-wrap:anywhere]">{left === undefined ? <span className="text-ink-3">–</span> : JSON.stringify(left)}</td>
                      <td className="px-4 py-1.5 font-mono [overflow-wrap:anywhere]">{right === undefined ? <span className="text-ink-3">–</span> : JSON.stringify(right)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        ) : (
          <pre tabIndex={0} className="max-h-[60vh] overflow-auto rounded-xl border border-line bg-surface p-4 font-mono text-2xs leading-5">
            {JSON.stringify(config, null, 2)}
          </pre>
        )}
      </section>
      {run.commands.length > 0 && (
        <section className="grid grid-cols-[minmax(0,1fr)] gap-2">
          <div className="flex items-center gap-2">
            <h2 className="text-[13px] font-semibold">On a command line</h2>
            <CopyButton label="Copy the commands" text={() => run.commands.join("\n")} />
          </div>
          <pre tabIndex={0} className="overflow-x-auto rounded-xl border border-line bg-surface p-4 font-mono text-2xs leading-5">
            {run.commands.join("\n")}
          </pre>
        </section>
      )}
      <p className="text-xs text-ink-2">
        The run directory is <code className="font-mono text-2xs [overflow-wrap:anywhere]">{run.folder}</code>.
      </p>
    </div>
  );
}

/** A preset by its name; the list is large, so it is loaded when it is needed. */
function usePreset(id: string | null) {
  return useQuery({
    queryKey: ["training", "preset", id],
    enabled: id !== null,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { findPreset } = await import("@/lib/training/config/presets");
      return (id && findPreset(id)) || null;
    },
  });
}
