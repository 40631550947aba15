"use client";

import { useRouter } from "next/navigation";
import { useCallback, useEffect, useId, useState, type ReactNode } from "react";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { launchAnswerSchema, type ConfigProblem } from "@/lib/training/types";
import { ask, explain, runPath, tell } from "../api";
import { runHref, type RunName } from "../link";
import { useRun } from "../queries";
import { changeDraft, forgetCopy, type Draft } from "./draft";
import { readTags } from "./names";
import { ProblemList } from "./ProblemList";

type LaunchCardProps = { draft: Draft; problems: readonly ConfigProblem[]; complete: boolean };

/** Name, tags, notes, and the button; then what is done before the run has begun. */
export function LaunchCard({ draft, problems, complete }: LaunchCardProps) {
  const router = useRouter();
  const [sending, setSending] = useState(false);
  const [started, setStarted] = useState<RunName | null>(null);
  const [problem, setProblem] = useState<{ message: string; action: string } | null>(null);
  const wrong = draft.name.trim() === "" ? [{ path: "name", message: "give the run a name", severity: "error" as const }, ...problems] : problems;

  const open = useCallback(() => {
    if (started) router.push(runHref(started));
  }, [router, started]);

  const launch = async (): Promise<void> => {
    setSending(true);
    setProblem(null);
    try {
      const { name, node, config, launcher, preset, notes } = draft;
      const run = await ask("/api/training/runs", launchAnswerSchema, { method: "POST", json: { name: name.trim(), node, config, launcher, preset, notes, tags: readTags(draft.tags) } });
      forgetCopy();
      setStarted(run);
    } catch (error) {
      setProblem(explain(error instanceof Error ? error : new Error(String(error))));
    } finally {
      setSending(false);
    }
  };

  return (
    <section aria-labelledby="heading-launch" className="grid gap-3 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <h2 id="heading-launch" className="text-[13px] font-semibold">
        Launch
      </h2>
      <TextField label="Name" path="name">
        {(id) => <input id={id} type="text" maxLength={80} value={draft.name} onChange={(event) => changeDraft({ name: event.target.value }, "name")} className={box} />}
      </TextField>
      <TextField label="Tags, separated by commas">{(id) => <input id={id} type="text" value={draft.tags} onChange={(event) => changeDraft({ tags: event.target.value }, "tags")} className={box} />}</TextField>
      <TextField label="Notes">
        {(id) => <textarea id={id} rows={2} value={draft.notes} onChange={(event) => changeDraft({ notes: event.target.value }, "notes")} className={`${box} h-auto resize-y py-1.5`} />}
      </TextField>
      <ProblemList problems={wrong} />
      {problem && <Notice tone="bad" {...problem} />}
      {started ? (
        <Starting run={started} onGone={() => setStarted(null)} onReady={open} />
      ) : (
        <Button look="primary" className="h-9" disabled={sending || !complete || wrong.length > 0} onClick={() => void launch()}>
          {sending ? "Launching…" : "Launch"}
        </Button>
      )}
    </section>
  );
}

const box = "h-8 w-full rounded-md border border-line-strong bg-surface px-2.5 text-[13px]";

function TextField({ label, path, children }: { label: string; path?: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="grid gap-1" data-field={path}>
      <label htmlFor={id} className="text-xs text-ink-2">
        {label}
      </label>
      {children(id)}
    </div>
  );
}

type StartingProps = { run: RunName; onReady: () => void; onGone: () => void };

/** What the server does before the node has the run: environment, uploads. Then its page opens. */
function Starting({ run, onReady, onGone }: StartingProps) {
  const detail = useRun(run);
  const [problem, setProblem] = useState<{ message: string; action: string } | null>(null);
  const [cancelling, setCancelling] = useState(false);
  const { node, id } = run;
  const progress = detail.data?.launch ?? null;
  const ready = (detail.isError || (detail.data !== undefined && progress === null)) && !cancelling;
  useEffect(() => {
    if (ready) onReady();
  }, [ready, onReady]);

  const cancel = async (): Promise<void> => {
    setCancelling(true);
    try {
      await tell(runPath(node, id, "stop"), { method: "POST" });
      onGone();
    } catch (error) {
      setCancelling(false);
      setProblem(explain(error instanceof Error ? error : new Error(String(error))));
    }
  };

  return (
    <div className="grid gap-2 rounded-md border border-line bg-sunken p-3" data-testid="launching">
      <p role="status" className="text-xs">
        {cancelling ? "Cancelling…" : (progress?.message ?? "The run is being prepared…")}
      </p>
      <ProgressBar label="Preparing the run" done={progress?.done ?? 0} total={progress?.total ?? 0} />
      {problem && <Notice tone="bad" {...problem} />}
      <div className="flex gap-2">
        <Button className="h-7 text-xs" onClick={onReady}>
          Open the run
        </Button>
        <Button look="ghost" className="h-7 text-xs" disabled={cancelling} onClick={() => void cancel()}>
          Cancel
        </Button>
      </div>
    </div>
  );
}
