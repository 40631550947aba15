"use client";

import { useMemo } from "react";
import { CopyButton } from "@/components/ui/CopyButton";
import { Disclosure } from "@/components/ui/Field";
import { jobCommands } from "@/lib/training/config/commands";
import type { PlannedStage } from "@/lib/training/config/validate";
import type { Preset } from "@/lib/training/config/presets";
import { stepsOf } from "@/lib/training/service/job-steps";
import type { Draft } from "./draft";
import { runFolder } from "./names";

type CommandsCardProps = { draft: Draft; stages: readonly PlannedStage[] | null; preset: Preset | undefined; gpus: number | null };

/** The same run on a command line. */
export function CommandsCard({ draft, stages, preset, gpus }: CommandsCardProps) {
  const lines = useMemo(() => {
    const last = stages?.at(-1);
    if (!last) return [];
    const run = runFolder(draft.name);
    const steps = stepsOf(last.config, run, draft.name, draft.launcher, preset?.data);
    return jobCommands({ config: draft.config, steps, launcher: draft.launcher, gpus, run });
  }, [draft.config, draft.launcher, draft.name, gpus, preset, stages]);
  if (lines.length === 0) return null;
  return (
    <section aria-label="Command lines" className="rounded-xl border border-line bg-surface px-4 sm:px-5 [&>details]:border-t-0">
      <Disclosure title="The same on a command line">
        <pre tabIndex={0} aria-label="Commands, in the project's folder" className="max-h-96 overflow-auto rounded-md bg-sunken p-3 font-mono text-2xs leading-relaxed whitespace-pre">
          {lines.join("\n")}
        </pre>
        <p className="mt-2 flex items-start gap-2 text-2xs text-ink-3">
          <CopyButton label="Copy the commands" text={() => `${lines.join("\n")}\n`} />
          In bash, from the project&apos;s folder, with the trainer&apos;s environment (docs/training.md).
        </p>
      </Disclosure>
    </section>
  );
}
