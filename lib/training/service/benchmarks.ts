/** Speeds that runs measured here, kept for estimates. */
import { listBenchmarks, putBenchmark } from "@/lib/db/benchmarks";
import type { Db } from "@/lib/db/connection";
import type { Machine } from "../config/estimate";
import { benchmarkShape } from "../config/estimate";
import type { PlannedStage } from "../config/validate";
import { launcherSchema, type Benchmark, type NodeFacts } from "../types";
import type { z } from "zod";

type LauncherOutput = z.output<typeof launcherSchema>;

// The index keeps one speed a node and shape; what else a speed depends on is part of its shape there.
const separator = " on ";

/** The machine that a launch would train on, as far as the node has told. */
export function machineOf(facts: NodeFacts | null, launcher: LauncherOutput, device: string): Machine {
  const gpus = facts?.gpus ?? [];
  const gpu = gpus[0]?.name ?? null;
  const cpus = facts?.cpus ?? 4;
  const wanted = launcher.kind === "slurm" ? launcher.nodes * launcher.gpusPerNode : launcher.gpus === "none" ? 0 : launcher.gpus === "all" ? gpus.length : launcher.gpus.length;
  if (device === "cpu" || wanted === 0) return { gpu: null, devices: 1, cpus };
  // A login node need not have the GPUs that its queue gives.
  if (launcher.kind === "slurm") return { gpu: gpu ?? "GPU", devices: wanted, cpus };
  return { gpu, devices: gpu === null ? 1 : wanted, cpus };
}

export function benchmarksOf(db: Db, node: string): Benchmark[] {
  return listBenchmarks(db, node).flatMap((row) => {
    const [shape, device, devices] = row.shape.split(separator);
    if (shape === undefined || device === undefined || devices === undefined) return [];
    return [{ shape, device, devices: Number(devices), tokensPerSecond: row.tokensPerSecond, memoryGib: row.memoryBytes === null ? null : row.memoryBytes / 2 ** 30, run: row.source, measured: row.measured }];
  });
}

/** Keeps the speed of a run that has finished. Only runs of one stage have one speed. */
export function recordSpeed(db: Db, node: string, stages: readonly PlannedStage[], machine: Machine, speed: { tokensPerSecond: number; memoryGib: number | null; run: string; measured: number }): void {
  const [only] = stages;
  if (!only || stages.length > 1 || !(speed.tokensPerSecond > 0)) return;
  putBenchmark(db, {
    node,
    shape: [benchmarkShape(only.config), machine.gpu ?? "cpu", machine.devices].join(separator),
    tokensPerSecond: speed.tokensPerSecond,
    memoryBytes: speed.memoryGib === null ? null : speed.memoryGib * 2 ** 30,
    source: speed.run,
    measured: speed.measured,
  });
}

/** The usual speed of a run: the median of its lines, the first of which has the start-up in it. */
export function medianSpeed(values: readonly (number | null)[]): number | null {
  const sorted = values.slice(1).filter((value) => value !== null && value > 0).toSorted((a, b) => Number(a) - Number(b));
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

