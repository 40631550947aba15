/** GPUs that other runs of a node have, said before a run shares them. */
import type { ConfigProblem, Launcher } from "../types";
import type { GpuUse } from "./launch";

/** A warning for each run that has a GPU which a run with this launcher would take as well. */
export function gpuWarnings(uses: GpuUse, launcher: Launcher): ConfigProblem[] {
  if (launcher.kind !== "process" || launcher.gpus === "none") return [];
  const { gpus: wanted } = launcher;
  return uses.flatMap(({ run, gpus }) => {
    const shared = gpus === "all" ? wanted : wanted === "all" ? gpus : wanted.filter((gpu) => gpus.includes(gpu));
    if (shared.length === 0) return [];
    const which = shared === "all" ? "all GPUs of this node" : shared.length === 1 ? `GPU ${shared[0]}` : `GPUs ${shared.join(", ")}`;
    return [{ path: "", message: `The run ${run} uses ${which}: both get slower and share the memory. Choose other GPUs, or wait.`, severity: "warning" as const }];
  });
}
