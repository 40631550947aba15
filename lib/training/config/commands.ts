/** The commands that do what a job does, as text for a POSIX shell. Shown and copied; never run by the server. */
import type { ConfigDocument, JobStep, Launcher } from "../types";
import { fillPlaces, projectPlaces } from "./places";

/** One argument as a shell reads it back. */
export function quoteArgument(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function commandLine(argv: readonly string[]): string {
  return argv.map(quoteArgument).join(" ");
}

type CommandsRequest = {
  readonly config: ConfigDocument;
  readonly steps: readonly JobStep[];
  readonly launcher: Launcher;
  /** GPUs of the node; null: not known. Without one, "gpu" is one process on the CPU. */
  readonly gpus: number | null;
  /** Name of the run directory under data/runs. */
  readonly run: string;
};

/** One command a step, for the project's root; the first ones write the config. Long JSON stands in a here-document. */
export function jobCommands({ config, steps, launcher, gpus, run }: CommandsRequest): string[] {
  const places = projectPlaces(run);
  const file = `data/runs/${run}.json`;
  const json = JSON.stringify(config, null, 1);
  const write = `mkdir -p data/runs && cat > ${quoteArgument(file)} <<'CONFIG'\n${json}\nCONFIG`;
  const lines = steps.map((step) => {
    const argv = fillPlaces(step.argv, places).map((argument) => (argument === `${places.run}/config.json` ? file : argument));
    const processes = launcher.kind === "process" && step.processes === "gpu" && gpus === 0 ? 1 : (step.processes ?? 1);
    const alone = step.argv[0] !== "train" || (launcher.kind === "process" && processes === 1 && !Array.isArray(launcher.gpus));
    return alone ? commandLine(["python", "-m", "mambascope_trainer", ...argv]) : trainLine(argv, processes, launcher);
  });
  return ["export PYTHONPATH=trainer", write, ...lines];
}

/** torchrun on this host, or one a host under srun. */
function trainLine(argv: readonly string[], processes: "gpu" | number, launcher: Launcher): string {
  const own = ["-m", "mambascope_trainer", ...argv];
  if (launcher.kind === "process") {
    const visible = Array.isArray(launcher.gpus) ? `CUDA_VISIBLE_DEVICES=${launcher.gpus.join(",")} ` : "";
    return `${visible}${commandLine(["torchrun", "--standalone", "--nproc-per-node", String(processes), ...own])}`;
  }
  const options: [string, string | number | undefined][] = [
    ["--nodes", launcher.nodes],
    ["--ntasks-per-node", 1],
    ["--gpus-per-node", launcher.gpusPerNode],
    ["--partition", launcher.partition],
    ["--account", launcher.account],
    ["--qos", launcher.qos],
    ["--time", launcher.time],
    ["--cpus-per-task", launcher.cpusPerTask],
    ["--mem", launcher.memory],
    ["--constraint", launcher.constraint],
  ];
  const srun = commandLine(["srun", ...options.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]))]);
  if (launcher.nodes === 1) return `${srun} ${commandLine(["torchrun", "--standalone", "--nproc-per-node", String(launcher.gpusPerNode), ...own])}`;
  // The shell asks SLURM for the first host and the job's number; nothing of the config is in this part.
  return `${srun} bash -c 'torchrun --nnodes ${launcher.nodes} --nproc-per-node ${launcher.gpusPerNode} --rdzv-backend c10d --rdzv-endpoint $(scontrol show hostnames $SLURM_JOB_NODELIST | head -1):29500 --rdzv-id $SLURM_JOB_ID "$@"' torchrun ${commandLine(own)}`;
}
