"use client";

import { useEffect, useRef } from "react";
import { useStore } from "zustand";
import { Button, IconButton } from "@/components/ui/Button";
import { SelectField, type Option } from "@/components/ui/Field";
import { formatBytes, formatDuration, formatNumber } from "@/components/ui/format";
import { LayerStrip } from "@/components/ui/LayerStrip";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import type { ListedFamily } from "@/lib/home/listing";
import type { Slot } from "./conversation";
import { engineOf, sameSelection, type EngineState } from "./engine";
import { MemoryTable } from "./MemoryTable";
import type { Column } from "./session";

type SlotCardProps = {
  slot: Slot;
  label: string;
  family: ListedFamily;
  column: Column | null;
  variants: Option<string>[];
  onVariant: (name: string) => void;
  onClose?: () => void;
};

/** Models up to this size load as soon as they are chosen; larger ones when the visitor says so. */
const autoLoadBytes = 40e6;

const providerNames = { webgpu: "WebGPU", wasm: "WebAssembly" } as const;

/** One column's model: choice, layers, loading, and what it holds in memory. */
export function SlotCard({ slot, label, family, column, variants, onVariant, onClose }: SlotCardProps) {
  const engine = engineOf(slot);
  const state = useStore(engine.store);
  const listed = family.variants.find(({ name }) => name === column?.selection.variant);
  const bytes = family.files.filter(({ name }) => listed?.files.includes(name)).reduce((sum, file) => sum + file.bytes, 0);
  useAutoLoad(column, listed?.ready === true && bytes <= autoLoadBytes, state);

  if (!column || !listed) return null;
  const current = sameSelection(state.selection, column.selection);
  const missing = family.files.filter((file) => file.state !== "present" && (listed.files.includes(file.name) || file.use === "tokenizer"));
  return (
    <div data-testid={`slot-${slot}`} data-status={current ? state.status : "empty"} className="grid gap-3 rounded-lg border border-line p-3">
      <div className="flex items-end gap-1">
        <div className="min-w-0 flex-1">
          <SelectField label={label} value={listed.name} options={variants} onChange={onVariant} />
        </div>
        {onClose && <IconButton icon="close" label="End side by side" className="mb-0.5" onClick={onClose} />}
      </div>
      <LayerStrip layers={listed.layers} />
      {listed.draft && <p className="text-2xs text-ink-3">A draft for speculative decoding, on the base&apos;s embedding and LM head. Alone it writes poorly.</p>}
      {missing.length > 0 && !family.fetchable && (
        <Notice
          tone="warn"
          message={`${missing.length === 1 ? "A file is" : `${missing.length} files are`} missing or of the wrong size: ${missing.map(({ name }) => name).join(", ")}.`}
          action="Restore the family's folder from the project's repository, or export it again."
        />
      )}
      {current && state.status === "loading" && <Loading state={state} onCancel={engine.cancelLoad} />}
      {current && state.status === "ready" && <Ready state={state} onUnload={engine.unload} />}
      {current && state.status === "failed" && state.error && (
        <Notice tone="bad" message={state.error.message} action={state.error.action}>
          <Button icon="retry" onClick={() => void engine.load(column.selection)}>
            Load again
          </Button>
        </Notice>
      )}
      {(!current || state.status === "empty") && !(family.fetchable && missing.length > 0) && (
        <div className="flex items-center gap-3">
          <Button look="primary" onClick={() => void engine.load(column.selection)}>
            Load
          </Button>
          <span className="tabular text-xs text-ink-3">{formatBytes(bytes)} of weights</span>
        </div>
      )}
    </div>
  );
}

/** Loads a small model once for each choice; a failure is not retried by itself. */
function useAutoLoad(column: Column | null, allowed: boolean, state: EngineState): void {
  const tried = useRef("");
  useEffect(() => {
    if (!column) return;
    const { slot, selection } = column;
    const key = `${selection.family} ${selection.variant} ${selection.provider}`;
    const switching = state.status === "ready" && state.selection?.family === selection.family;
    if ((!allowed && !switching) || tried.current === key) return;
    tried.current = key;
    void engineOf(slot).load(selection);
  }, [column, allowed, state]);
}

const phases = ["manifest", "download", "expand", "session", "warmup"] as const;
const phaseNames = { manifest: "Manifest", download: "Weights", expand: "Expand", session: "Session", warmup: "Warm-up", prefill: "Prompt" } as const;

function Loading({ state, onCancel }: { state: EngineState; onCancel: () => void }) {
  const { progress, rate } = state;
  const reached = phases.indexOf((progress?.phase === "prefill" ? "warmup" : progress?.phase) ?? "manifest");
  const amount =
    progress?.unit === "bytes" && progress.total > 0
      ? `${formatBytes(progress.done)} of ${formatBytes(progress.total)}${rate ? `, ${formatBytes(rate)}/s` : ""}`
      : (progress?.message ?? "Starting");
  return (
    <div className="grid gap-2">
      <ol className="flex gap-2.5 text-2xs" aria-label="Phases of loading">
        {phases.map((phase, index) => (
          <li key={phase} aria-current={index === reached ? "step" : undefined} className={index === reached ? "font-medium text-ink" : index < reached ? "text-ink-2" : "text-ink-3 opacity-60"}>
            {phaseNames[phase]}
          </li>
        ))}
      </ol>
      <ProgressBar label={`Loading: ${progress?.message ?? "starting"}`} done={progress?.done ?? 0} total={progress?.total ?? 0} />
      <div className="flex items-center gap-2">
        <p className="tabular min-w-0 flex-1 truncate text-xs text-ink-2">{amount}</p>
        <Button look="ghost" className="h-7 px-2" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </div>
  );
}

function Ready({ state, onUnload }: { state: EngineState; onUnload: () => void }) {
  const { info, memory } = state;
  if (!info) return null;
  const how = [providerNames[info.provider], info.precision, ...(info.provider === "wasm" ? [`${info.threads} ${info.threads === 1 ? "thread" : "threads"}`] : [])];
  return (
    <div className="grid gap-2.5">
      <div className="flex items-start gap-2">
        <span aria-hidden className="mt-1.5 size-1.5 shrink-0 rounded-full bg-good" />
        <div className="min-w-0 flex-1 text-xs">
          <p data-testid="runs-on">
            Runs on <span className="font-medium">{how.join(", ")}</span>
          </p>
          <p className="text-2xs text-ink-3">{info.providerReason}</p>
        </div>
      </div>
      {info.warnings.map((warning) => (
        <Notice key={warning} tone="warn" message={warning} />
      ))}
      {memory && <MemoryTable memory={memory} />}
      <div className="tabular flex items-end gap-2 text-2xs text-ink-3">
        <p className="min-w-0 flex-1">
          {formatNumber(info.parameters / 1e6)} M parameters, context {info.contextLength}
          <br />
          loaded in {formatDuration(info.timings.totalMs)}
        </p>
        <Button look="ghost" className="-mr-2 -mb-1.5 h-7 px-2 text-xs" onClick={onUnload}>
          Unload
        </Button>
      </div>
    </div>
  );
}
