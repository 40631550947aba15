"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useState } from "react";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { trainingNodeSchema, type AddNode } from "@/lib/training/types";
import { ask, explain } from "../api";
import { ConnectionNotice } from "../ConnectionNotice";
import { useTrainingEvents } from "../events";
import { keys } from "../keys";
import { useNodes } from "../queries";
import { useNow } from "../run/RunHeader";
import { emptyForm } from "./node-form";
import { NodeCard } from "./NodeCard";
import { NodeFields } from "./NodeFields";

/** The machines that runs can run on. */
export function NodesPage() {
  useTrainingEvents();
  const nodes = useNodes();
  const now = useNow(true);
  const [added, setAdded] = useState<string | null>(null);
  return (
    <div className="mx-auto grid w-full max-w-5xl grid-cols-[minmax(0,1fr)] gap-5 px-4 py-6 sm:px-6">
      <nav aria-label="Breadcrumb" className="text-xs text-ink-2">
        <Link href="/train" className="hover:underline">
          Runs
        </Link>{" "}
        <span aria-hidden>/</span> nodes
      </nav>
      <div className="max-w-2xl">
        <h1 className="text-xl font-semibold tracking-tight">Nodes</h1>
        <p className="mt-1 text-ink-2">The machines that runs run on. A run goes on there without the dashboard, and is found again.</p>
      </div>
      <ConnectionNotice />
      {nodes.isPending && <p className="text-[13px] text-ink-2">Reading the nodes…</p>}
      {nodes.isError && !nodes.data && (
        <Notice tone="bad" {...explain(nodes.error)}>
          <Button icon="retry" onClick={() => void nodes.refetch()}>
            Try again
          </Button>
        </Notice>
      )}
      {nodes.data?.nodes
        .filter(({ kind }) => kind !== "shipped")
        .map((node) => <NodeCard key={node.id} node={node} now={now} checkAtOnce={added === node.id} />)}
      {nodes.data && <AddCard onAdded={setAdded} />}
    </div>
  );
}

function AddCard({ onAdded }: { onAdded: (id: string) => void }) {
  const queries = useQueryClient();
  const [count, setCount] = useState(0);
  const add = useMutation({
    mutationFn: (node: AddNode) => ask("/api/training/nodes", trainingNodeSchema, { method: "POST", json: node }),
    onSuccess: async (node) => {
      setCount(count + 1);
      onAdded(node.id);
      await queries.invalidateQueries({ queryKey: keys.nodes });
      document.getElementById(node.id)?.scrollIntoView({ block: "nearest" });
    },
  });
  return (
    <section id="add" aria-labelledby="add-node" className="grid scroll-mt-16 grid-cols-[minmax(0,1fr)] gap-4 rounded-xl border border-dashed border-line-strong p-4 sm:p-5">
      <div className="max-w-2xl">
        <h2 id="add-node" className="text-base font-semibold tracking-tight">
          Add a machine over SSH
        </h2>
        <p className="mt-0.5 text-[13px] text-ink-2">Your system&apos;s ssh is used, with your keys, agent and config. Try the destination once in a terminal first, so that its host key is known. SLURM is found by itself.</p>
      </div>
      <NodeFields key={count} initial={emptyForm} submit="Add and check" busy={add.isPending} failure={add.error ? explain(add.error) : null} onSubmit={(node) => add.mutate(node)} />
    </section>
  );
}
