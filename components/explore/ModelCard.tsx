"use client";

import { FetchCard } from "@/components/chat/FetchCard";
import { Button } from "@/components/ui/Button";
import { Segmented, SelectField } from "@/components/ui/Field";
import { formatBytes, formatDuration } from "@/components/ui/format";
import { LoadProgress } from "@/components/ui/LoadProgress";
import { Notice } from "@/components/ui/Notice";
import type { ListedFamily } from "@/lib/home/listing";
import type { ProviderChoice } from "@/workers/protocol";
import { loadProbe, unloadProbe, useProbe } from "./probe";
import { chooseFamily, look } from "./session";

const providers: { value: ProviderChoice; label: string }[] = [
  { value: "auto", label: "Auto" },
  { value: "webgpu", label: "WebGPU" },
  { value: "wasm", label: "WebAssembly" },
];

/** Bytes of the base and its tokenizer: what exploring a family downloads at least. */
export function baseBytes(family: ListedFamily): number {
  return family.files.filter(({ use }) => use === "base" || use === "tokenizer").reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Files that every exploration needs and that are not there. */
export function missingFiles(family: ListedFamily): string[] {
  return family.files.filter(({ use, state }) => use !== "mixers" && state !== "present").map(({ name }) => name);
}

/** Which model is explored, and where it runs. */
export function ModelCard({ families, family, provider }: { families: ListedFamily[]; family: ListedFamily; provider: ProviderChoice }) {
  const { status, target, loading, info, error } = useProbe();
  const current = target?.family === family.family && target.provider === provider;
  const missing = missingFiles(family);
  const load = () => void loadProbe({ family: family.family, provider });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4" data-testid="probe" data-status={current ? status : "empty"}>
      <SelectField
        label="Family"
        value={family.family}
        options={families.map(({ family: name, title, problem }) => ({ value: name, label: problem ? `${title} (cannot be used)` : title }))}
        onChange={chooseFamily}
      />
      <Segmented label="Runs on" value={provider} options={providers} onChange={(choice) => look({ provider: choice })} />
      {family.problem && <Notice tone="bad" message={family.problem.message} action={family.problem.action} />}
      {!family.problem && missing.length > 0 && family.fetchable && <FetchCard family={family} />}
      {!family.problem && missing.length > 0 && !family.fetchable && (
        <Notice tone="warn" message={`${missing.length === 1 ? "A file is" : `${missing.length} files are`} missing or of the wrong size: ${missing.join(", ")}.`} action="Restore the family's folder from the project's repository, or export it again." />
      )}
      {current && status === "loading" && <LoadProgress progress={loading} onCancel={unloadProbe} />}
      {current && status === "failed" && error && (
        <Notice tone="bad" message={error.message} action={error.action}>
          <Button icon="retry" onClick={load}>
            Load again
          </Button>
        </Notice>
      )}
      {current && status === "ready" && info && (
        <div className="grid gap-2.5">
          <div className="flex items-start gap-2">
            <span aria-hidden className="mt-1.5 size-1.5 shrink-0 rounded-full bg-good" />
            <div className="min-w-0 flex-1 text-xs">
              <p data-testid="runs-on">
                Runs on{" "}
                <span className="font-medium">
                  {info.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${info.threads} ${info.threads === 1 ? "thread" : "threads"}`}
                </span>
              </p>
              <p className="text-2xs text-ink-3">{info.providerReason}</p>
            </div>
          </div>
          {info.warnings.map((warning) => (
            <Notice key={warning} tone="warn" message={warning} />
          ))}
          <div className="tabular flex items-end gap-2 text-2xs text-ink-3">
            <p className="min-w-0 flex-1">
              {formatBytes(info.memory.weightBytes)} of weights in memory
              <br />
              loaded in {formatDuration(info.loadMs)}
            </p>
            <Button look="ghost" className="-mr-2 -mb-1.5 h-7 px-2 text-xs" onClick={unloadProbe}>
              Unload
            </Button>
          </div>
        </div>
      )}
      {(!current || status === "empty") && !family.problem && missing.length === 0 && (
        <div className="flex items-center gap-3">
          <Button look="primary" onClick={load}>
            Load
          </Button>
          <span className="tabular text-xs text-ink-3">{formatBytes(baseBytes(family))} of weights</span>
        </div>
      )}
    </div>
  );
}
