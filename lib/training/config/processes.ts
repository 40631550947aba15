import type { Launcher } from "../types";

/** Processes that train under a launcher, one a GPU. gpus: how many the node has. */
export function trainingProcesses(launcher: Launcher, gpus: number): number {
  if (launcher.kind === "slurm") return Math.max(1, launcher.nodes * launcher.gpusPerNode);
  if (launcher.gpus === "none") return 1;
  return Math.max(1, launcher.gpus === "all" ? gpus : launcher.gpus.length);
}
