"use client";

import { useMutation } from "@tanstack/react-query";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { Button } from "@/components/ui/Button";
import { formatBytes } from "@/components/ui/format";
import { Icon } from "@/components/ui/Icon";
import { Notice } from "@/components/ui/Notice";
import { launchAnswerSchema, type RunDetail } from "@/lib/training/types";
import { ask, explain, runPath } from "../api";
import { Confirm } from "../Confirm";
import { duplicateHref, runHref } from "../link";
import { Menu, menuItem } from "../Menu";
import { useChange } from "../queries";
import { isActive } from "../words";

/** After so many seconds a run that was asked to stop may be ended at once. */
const PATIENCE = 20;

/** What can be done with a run in its present state. */
export function RunActions({ run, onDeleted }: { run: RunDetail; onDeleted: () => void }) {
  const router = useRouter();
  const change = useChange();
  const [asking, setAsking] = useState<"kill" | "delete" | null>(null);
  const act = (action: string): void => change.mutate({ path: runPath(run.node, run.id, action), method: "POST" });
  const restart = useMutation({
    mutationFn: () => ask(runPath(run.node, run.id, "restart"), launchAnswerSchema, { method: "POST", json: {} }),
    onSuccess: (made) => router.push(runHref(made)),
  });
  const active = isActive(run.state);
  const patience = usePatience(run.stopping && active);
  const busy = change.isPending || restart.isPending;
  const failure = change.error ?? restart.error;
  const canExport = !active && run.checkpoints.length > 0;
  const remove = (): void => {
    setAsking(null);
    change.mutate({ path: runPath(run.node, run.id), method: "DELETE" }, { onSuccess: onDeleted });
  };

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <div className="flex flex-wrap items-center gap-2">
        {run.exported && run.links?.chat && (
          <Link href={run.links.chat} className="inline-flex h-8 items-center rounded-md bg-ink px-3 text-[13px] font-medium text-canvas hover:bg-ink/85">
            Chat
          </Link>
        )}
        {run.exported && run.links?.explore && (
          <Link href={run.links.explore} className={linkButton}>
            Open in explorer
          </Link>
        )}
        {run.exported?.draft && run.links?.speculate && (
          <Link href={run.links.speculate} className={linkButton}>
            Speculate
          </Link>
        )}
        {!run.readOnly && active && (
          <Button icon="stop" disabled={busy || run.stopping} onClick={() => act("stop")}>
            {run.stopping ? "Stopping…" : "Stop"}
          </Button>
        )}
        {!run.readOnly && active && patience && (
          <Button look="danger" icon="bolt" disabled={busy} onClick={() => setAsking("kill")}>
            End at once
          </Button>
        )}
        {!run.readOnly && !active && run.state !== "finished" && (
          <Button look="primary" icon="play" disabled={busy} onClick={() => act("resume")}>
            Resume
          </Button>
        )}
        {!run.readOnly && canExport && (
          <Button icon="send" disabled={busy} onClick={() => act("export")}>
            {run.exported ? "Export again" : "Export"}
          </Button>
        )}
        <Link href={duplicateHref(run)} className={linkButton}>
          <Icon name="copy" />
          Duplicate with changes
        </Link>
        <Menu label="More">
          <a href={runPath(run.node, run.id, "download")} download className={menuItem}>
            <Icon name="download" />
            Download without checkpoints
          </a>
          <a href={`${runPath(run.node, run.id, "download")}?checkpoints=1`} download className={menuItem}>
            <Icon name="download" />
            Download all, {formatBytes(run.bytes)}
          </a>
          {!run.readOnly && (
            <button type="button" className={menuItem} disabled={busy || active} onClick={() => restart.mutate()}>
              <Icon name="retry" />
              Restart from step 0
            </button>
          )}
          {!run.readOnly && (
            <button type="button" className={`${menuItem} text-bad`} disabled={busy || active} onClick={() => setAsking("delete")}>
              <Icon name="trash" />
              Move to the trash
            </button>
          )}
        </Menu>
      </div>
      {failure && <Notice tone="bad" {...explain(failure)} />}
      {asking === "kill" && (
        <Confirm
          title="End this run at once?"
          confirm="End at once"
          danger
          onClose={() => setAsking(null)}
          onConfirm={() => {
            setAsking(null);
            act("kill");
          }}
        >
          <p>It writes no checkpoint now: what it did since the last one is lost. It can be resumed from there.</p>
        </Confirm>
      )}
      {asking === "delete" && (
        <Confirm title={`Move “${run.name}” to the trash?`} confirm="Move to the trash" danger onClose={() => setAsking(null)} onConfirm={remove}>
          <p>Its {formatBytes(run.bytes)} stay on the node until the trash is emptied, and it can be put back until then.</p>
          {run.exported && <p>The exported model stays where it is.</p>}
        </Confirm>
      )}
    </div>
  );
}

const linkButton = "inline-flex h-8 items-center justify-center gap-1.5 rounded-md border border-line-strong bg-surface px-3 text-[13px] font-medium whitespace-nowrap text-ink hover:bg-sunken";

/** True once a while has passed since `waiting` began. */
function usePatience(waiting: boolean): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!waiting) return;
    const timer = setTimeout(() => setOver(true), 1000 * PATIENCE);
    return () => {
      clearTimeout(timer);
      setOver(false);
    };
  }, [waiting]);
  return over;
}
