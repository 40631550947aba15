"use client";

import { FetchCard } from "@/components/chat/FetchCard";
import { Button } from "@/components/ui/Button";
import { Segmented, SelectField } from "@/components/ui/Field";
import { formatBytes, formatDuration } from "@/components/ui/format";
import { LayerStrip } from "@/components/ui/LayerStrip";
import { LoadProgress } from "@/components/ui/LoadProgress";
import { Notice } from "@/components/ui/Notice";
import { formatPattern } from "@/lib/hybrid/pattern";
import type { ListedFamily } from "@/lib/home/listing";
import type { ProviderChoice } from "@/workers/protocol";
import { type Choice, draftOf, draftOptions, featureDraft, targetsOf } from "./choices";
import { load, sameDraft, sameTarget, type Target, unload, useEngine } from "./engine";
import { formatDraft } from "./link";
import { change, chooseFamily } from "./settings";

const PATTERN = "pattern:";
const providers: { value: ProviderChoice; label: string }[] = [
  { value: "auto", label: "Auto" },
  { value: "webgpu", label: "WebGPU" },
  { value: "wasm", label: "WebAssembly" },
];

export function targetOf(family: ListedFamily, { target }: Choice, provider: ProviderChoice): Target {
  return { family: family.family, provider, ...("pattern" in target ? { pattern: formatPattern([...target.pattern]) } : { variant: target.variant }) };
}

/** Which target and which draft, where they run, and their state. */
export function ModelCard({ families, family, choice, provider }: { families: ListedFamily[]; family: ListedFamily; choice: Choice; provider: ProviderChoice }) {
  const { status, target, draft, loading, info, error, busy } = useEngine();
  const wanted = targetOf(family, choice, provider);
  const current = sameTarget(target, wanted) && draft !== null && sameDraft(draft, choice.draft);
  const name = "pattern" in choice.target ? PATTERN : choice.target.variant;
  const variantOf = (wantedName: string) => family.variants.find((candidate) => candidate.name === wantedName);
  const variant = variantOf(name);
  const layers = "pattern" in choice.target ? [...choice.target.pattern] : (variant?.layers ?? []);
  const ready = variant ? variant.ready : family.files.every(({ use, state }) => use === "other" || state === "present");
  const onFeatures = featureDraft(choice.draft, family);
  const start = () => void load(wanted, choice.draft);
  const swaps = status === "ready" && sameTarget(target, wanted) && !current;

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4" data-testid="speculative" data-status={current ? status : "empty"}>
      <SelectField
        label="Family"
        value={family.family}
        options={families.map(({ family: value, title, problem }) => ({ value, label: problem ? `${title} (cannot be used)` : title }))}
        onChange={chooseFamily}
      />
      <div className="grid gap-2">
        <SelectField
          label="Target"
          value={name}
          options={[
            ...targetsOf(family).map(({ name: value, title, ready: there }) => ({ value, label: there ? title : `${title} (files missing)` })),
            ...("pattern" in choice.target ? [{ value: PATTERN, label: `${choice.title} (from the link)` }] : []),
          ]}
          onChange={(value) => value !== PATTERN && change({ target: value, pattern: null })}
        />
        {layers.length > 0 && <LayerStrip layers={layers} />}
      </div>
      <div className="grid gap-1.5">
        <SelectField label="Draft" value={formatDraft(choice.draft)} options={withValue(draftOptions(family, name), choice.draft)} onChange={(value) => change({ draft: draftOf(value) })} />
        {onFeatures && (
          <p className="text-2xs text-ink-3">
            It reads the target&apos;s hidden states beside the text, which know more of what follows than a small model finds out alone, and goes on from its own (
            <a href="https://arxiv.org/abs/2401.15077" target="_blank" rel="noreferrer" className="underline underline-offset-2 hover:text-ink">
              Li et al., EAGLE
            </a>
            ).{onFeatures.target !== null && onFeatures.target !== name && ` It learned beside ${variantOf(onFeatures.target)?.title ?? onFeatures.target}: beside another target fewer of its drafts stand.`}
          </p>
        )}
      </div>
      <Segmented label="Runs on" value={provider} options={providers} onChange={(value) => change({ provider: value })} />
      {family.problem && <Notice tone="bad" message={family.problem.message} action={family.problem.action} />}
      {!family.problem && !ready && family.fetchable && <FetchCard family={family} />}
      {!family.problem && !ready && !family.fetchable && (
        <Notice tone="warn" message="Files of this model are missing or of the wrong size." action="Restore the family's folder from the project's repository, or export it again." />
      )}
      {current && status === "loading" && <LoadProgress progress={loading} onCancel={unload} />}
      {current && status === "failed" && error && (
        <Notice tone="bad" message={error.message} action={error.action}>
          <Button icon="retry" onClick={start}>
            Load again
          </Button>
        </Notice>
      )}
      {current && status === "ready" && info && (
        <div className="flex items-start gap-2">
          <span aria-hidden className="mt-1.5 size-1.5 shrink-0 rounded-full bg-good" />
          <div className="tabular min-w-0 flex-1 text-xs">
            <p>
              Runs on <span className="font-medium">{info.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${info.threads} ${info.threads === 1 ? "thread" : "threads"}`}</span>
            </p>
            <p className="text-2xs text-ink-3">
              {formatBytes(info.memory.weightBytes)} of target weights, {formatBytes(info.memory.draftWeightBytes)} of draft weights; loaded in {formatDuration(info.loadMs)}.
            </p>
            {info.warnings.map((warning) => (
              <Notice key={warning} tone="warn" message={warning} />
            ))}
          </div>
          <Button look="ghost" className="-mt-1 h-7 px-2 text-xs" onClick={unload} disabled={busy !== null}>
            Unload
          </Button>
        </div>
      )}
      {(!current || status === "empty") && !family.problem && ready && (
        <div>
          <Button look="primary" onClick={start}>
            {swaps ? "Change the draft" : "Load"}
          </Button>
        </div>
      )}
    </div>
  );
}

/** The options, with the present choice among them: an address may name one that the list leaves out. */
function withValue(options: ReturnType<typeof draftOptions>, draft: Choice["draft"]): ReturnType<typeof draftOptions> {
  const value = formatDraft(draft);
  if (options.some((option) => option.value === value)) return options;
  return [...options, { value, label: draft.kind === "layers" ? `The target's first ${draft.count} layers` : value }];
}
