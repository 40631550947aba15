"use client";

import Link from "next/link";
import { formatBytes } from "@/components/ui/format";
import type { TrainingNode } from "@/lib/training/types";
import { NodeState } from "../nodes/NodeState";

/** Where runs run: each node's state, GPUs, free memory and disk, and how many runs it has under way. */
export function NodesStrip({ nodes, runs }: { nodes: readonly TrainingNode[]; runs: ReadonlyMap<string, number> }) {
  return (
    <section aria-label="Nodes">
      <ul className="grid grid-cols-[minmax(0,1fr)] gap-3 sm:grid-cols-2 lg:grid-cols-3">
        {nodes
          .filter(({ kind }) => kind !== "shipped")
          .map((node) => (
            <li key={node.id} className="min-w-0">
              <Link href={`/train/nodes#${node.id}`} className="grid h-full grid-cols-[minmax(0,1fr)] gap-1.5 rounded-xl border border-line bg-surface px-4 py-3 hover:border-line-strong">
                <span className="flex items-baseline gap-2">
                  <span className="truncate text-[13px] font-semibold">{node.name}</span>
                  <span className="ml-auto">
                    <NodeState node={node} />
                  </span>
                </span>
                <span className="tabular flex flex-wrap gap-x-3 text-2xs text-ink-2">{factsOf(node).map((fact) => <span key={fact}>{fact}</span>)}</span>
                <span className="tabular text-2xs text-ink-3">
                  {runs.get(node.id) ?? node.active} {(runs.get(node.id) ?? node.active) === 1 ? "run" : "runs"} under way
                </span>
              </Link>
            </li>
          ))}
        <li className="min-w-0">
          <Link href="/train/nodes#add" className="grid h-full min-h-16 place-items-center rounded-xl border border-dashed border-line-strong px-4 py-3 text-[13px] text-ink-2 hover:text-ink">
            Add a machine over SSH
          </Link>
        </li>
      </ul>
    </section>
  );
}

/** A node in a few words; GPUs of one kind are counted. */
function factsOf({ facts, kind, destination }: TrainingNode): string[] {
  if (!facts) return [kind === "local" ? "this machine" : (destination ?? ""), "not looked at yet"];
  const gpus = new Map<string, number>();
  for (const { name } of facts.gpus) gpus.set(name, (gpus.get(name) ?? 0) + 1);
  const free = facts.gpus.reduce((sum, gpu) => sum + gpu.memoryFreeBytes, 0);
  return [
    gpus.size === 0 ? `no GPU, ${facts.cpus} ${facts.cpus === 1 ? "core" : "cores"}` : [...gpus].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", "),
    ...(gpus.size > 0 ? [`${formatBytes(free)} free on GPU`] : facts.memoryBytes === null ? [] : [`${formatBytes(facts.memoryBytes)} memory`]),
    ...(facts.diskFreeBytes === null ? [] : [`${formatBytes(facts.diskFreeBytes)} disk free`]),
  ];
}
