"use client";

import { useQuery } from "@tanstack/react-query";
import { useStore } from "zustand";
import { runsAlone } from "@/components/bundles";
import { Button } from "@/components/ui/Button";
import { Disclosure, Segmented, SelectField } from "@/components/ui/Field";
import type { ListedFamily } from "@/lib/home/listing";
import type { ProviderChoice } from "@/workers/protocol";
import { engineOf } from "./engine";
import { FetchCard } from "./FetchCard";
import { SamplingPanel } from "./SamplingPanel";
import { conversationOf, setSystemPrompt, stop, useSession, type Column } from "./session";
import { SlotCard } from "./SlotCard";
import type { PageSelection } from "./useSelection";

type ModelPanelProps = {
  families: ListedFamily[];
  selection: PageSelection;
  columns: Column[];
  change: (change: Partial<Record<"family" | "variant" | "compare" | "provider", string | null>>) => void;
};

const providers: { value: ProviderChoice; label: string }[] = [
  { value: "auto", label: "Auto" },
  { value: "webgpu", label: "WebGPU" },
  { value: "wasm", label: "WebAssembly" },
];

/** Which model answers, where it runs, and how it is sampled. */
export function ModelPanel({ families, selection, columns, change }: ModelPanelProps) {
  const { family, variant, compare, provider } = selection;
  if (!family) return null;
  const alone = runsAlone(family);
  const variants = alone.map(({ name, title }) => ({ value: name, label: title }));
  const other = alone.find(({ name }) => name !== variant)?.name ?? variant;

  // A choice made while an answer is written ends the answer: the model under it goes away.
  const choose = (wanted: Parameters<typeof change>[0]) => {
    stop();
    change(wanted);
  };
  const endCompare = () => {
    choose({ compare: null });
    engineOf("b").unload();
  };

  return (
    <div className="grid gap-4 px-4 pt-4 pb-6 lg:px-5">
      <div className="grid gap-1.5">
        <SelectField
          label="Family"
          value={family.family}
          options={families.map(({ family: name, title, problem }) => ({ value: name, label: problem ? `${title} (cannot be used)` : title }))}
          onChange={(name) => choose({ family: name, variant: null, compare: null })}
        />
        {family.description && <p className="text-xs text-ink-3">{family.description}</p>}
      </div>

      {variants.length > 0 && (
        <>
          <SlotCard
            key={`a ${family.family}`}
            slot="a"
            label={compare === null ? "Variant" : "Left variant"}
            family={family}
            column={columns[0] ?? null}
            variants={variants}
            onVariant={(name) => choose({ variant: name })}
          />
          {compare === null ? (
            <Button icon="columns" onClick={() => choose({ compare: other })}>
              Compare side by side
            </Button>
          ) : (
            <>
              <SlotCard
                key={`b ${family.family}`}
                slot="b"
                label="Right variant"
                family={family}
                column={columns[1] ?? null}
                variants={variants}
                onVariant={(name) => choose({ compare: name })}
                onClose={endCompare}
              />
              <Order />
            </>
          )}
        </>
      )}
      {family.fetchable && family.variants.some(({ ready }) => ready) && <FetchCard family={family} />}

      <div className="grid gap-1.5">
        <Segmented label="Runs on" value={provider} options={providers} onChange={(value) => choose({ provider: value === "auto" ? null : value })} />
        <ProviderLine provider={provider} />
      </div>

      <div>
        {family.chat !== false && <SystemPrompt family={family.family} />}
        <SamplingPanel />
      </div>
    </div>
  );
}

function Order() {
  const parallel = useSession((state) => state.settings.parallel);
  return (
    <Segmented
      label="They answer"
      value={parallel ? "both" : "turns"}
      options={[
        { value: "turns", label: "One after the other" },
        { value: "both", label: "Both at once" },
      ]}
      onChange={(value) => useSession.setState(({ settings }) => ({ settings: { ...settings, parallel: value === "both" } }))}
    />
  );
}

/** What this browser offers, before a model is loaded; the loaded model then says itself what it runs on. */
function ProviderLine({ provider }: { provider: ProviderChoice }) {
  const report = useQuery({ queryKey: ["providers"], queryFn: () => engineOf("a").detect(), staleTime: Infinity });
  const loaded = useStore(engineOf("a").store, ({ status }) => status === "ready");
  if (loaded) return null;
  if (!report.data) return <p className="text-2xs text-ink-3">{report.isError ? "What this browser offers could not be read." : "Looking at what this browser offers…"}</p>;
  const { chosen, webgpu, wasm } = report.data;
  const webgpuLine = webgpu.adapter && webgpu.available ? `${webgpu.reason} (${webgpu.adapter})` : webgpu.reason;
  const text =
    provider === "auto"
      ? `Takes ${chosen === "webgpu" ? "WebGPU" : "WebAssembly"}. ${chosen === "webgpu" ? webgpuLine : `${webgpu.reason} ${wasm.reason}`}`
      : provider === "webgpu"
        ? webgpuLine
        : wasm.reason;
  return <p className="text-2xs text-ink-3">{text}</p>;
}

function SystemPrompt({ family }: { family: string }) {
  const system = useSession((state) => conversationOf(state, family).system);
  return (
    <Disclosure title="System prompt" aside={system.trim() ? "set" : "none"}>
      <textarea
        aria-label="System prompt"
        rows={3}
        value={system}
        onChange={(event) => setSystemPrompt(family, event.target.value)}
        placeholder="How the model should behave. Without one, the family's own default is used."
        className="field-sizing-content max-h-48 min-h-16 w-full resize-none rounded-md border border-line bg-surface px-2.5 py-2 text-xs placeholder:text-ink-3"
      />
    </Disclosure>
  );
}
