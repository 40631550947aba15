/** What a run will take: tokens, time, memory, disk, and what each estimate rests on. */
import type { Architecture } from "@/lib/hybrid/config";
import type { Benchmark, Estimate } from "../types";
import { stepFlops } from "./flops";
import { diskBytes, memoryBytes } from "./memory";
import type { RunConfig } from "./run-config";
import type { PlannedStage } from "./validate";

export type Machine = {
  /** Name of the GPUs; null: a CPU trains. */
  readonly gpu: string | null;
  /** Processes, one a GPU. */
  readonly devices: number;
  /** Cores of the machine; for a CPU run. */
  readonly cpus: number;
};

export type EstimateRequest = {
  readonly stages: readonly PlannedStage[];
  /** The teacher's shape; null: not known, and then nothing but the tokens can be said. */
  readonly teacher: Architecture | null;
  readonly machine: Machine;
  /** Speeds that earlier runs measured; those of another device or shape are left aside. */
  readonly benchmarks: readonly Benchmark[];
};

/** Dense bfloat16 peaks, TFLOP/s, by a part of the device's name (NVIDIA's data sheets). */
const peaks: readonly (readonly [part: string, tflops: number])[] = [
  ["H100", 989], ["H200", 989], ["B200", 2250], ["A100", 312], ["L40S", 362], ["L40", 181], ["A40", 150], ["A10", 125], ["L4", 121], ["V100", 125], ["T4", 65],
  ["4090", 165], ["4080", 97], ["3090", 71], ["5090", 210], ["A6000", 155],
];
const UNKNOWN_PEAK = 60;

/** Share of the peak that the shipped runs reached, compiled, at width 576; it falls with the width, for narrow layers leave a GPU idle. */
const MFU_AT_576 = 0.27;
const HIGHEST_MFU = 0.45;
const NOT_COMPILED = 0.55;
/** align and orient work layer by layer, in small products. */
const LAYERWISE = 0.75;
/** GFLOP/s of one core in float32, measured with the stories model. */
const CPU_GFLOPS_A_CORE = 35;

/** Names what a run's speed depends on, but for the device. Equal shapes have comparable speeds. */
export function benchmarkShape(config: RunConfig): string {
  const replaced = config.method === "draft" ? `draft${config.draft?.layers}-${config.draft?.mixer}` : `mamba${config.layers.length}-${config.pattern}`;
  return [config.family, config.method, replaced, config.train, `${config.data.seq_len}x${config.optimiser.batch / config.optimiser.accumulate}`, config.compile ? "compiled" : "eager"].join("/");
}

export function estimateRun({ stages, teacher, machine, benchmarks }: EstimateRequest): Omit<Estimate, "problems"> {
  const tokens = stages.reduce((sum, { config }) => sum + tokensOf(config), 0);
  const last = stages.at(-1);
  const archOf = (config: RunConfig): Architecture | null => (config.method === "pretrain" ? shapeOf(config) : teacher);
  const arch = last ? archOf(last.config) : null;
  if (!last || !arch) return { tokens, seconds: null, memoryBytes: null, diskBytes: null, basis: "The teacher's shape is not known here, so only the tokens can be counted." };

  const times = stages.map(({ config }) => timeOf(config, archOf(config) ?? arch, machine, benchmarks));
  const measured = times.every(({ from }) => from !== null);
  const device = machine.gpu ?? `${machine.cpus} CPU cores`;
  const time = measured
    ? `Time: the speed of ${[...new Set(times.map(({ from }) => from))].join(", ")} on ${device}.`
    : `Time: a guess from the method's FLOPs at ${machine.gpu ? `${Math.round(100 * mfuOf(last.config, arch))}% of the ${peakOf(machine.gpu).known ? "" : "assumed "}peak of ${device}` : `${CPU_GFLOPS_A_CORE} GFLOP/s a core on ${device}`}; it can be off by a factor of three. Data, evaluation and export are not in it.`;
  const memory = machine.gpu ? "Memory: weights, gradients, optimiser and activations of one GPU; within a tenth for the shipped runs." : "Memory: of the machine, within a third.";
  return {
    tokens,
    seconds: times.reduce((sum, { seconds }) => sum + seconds, 0),
    memoryBytes: Math.max(...stages.map(({ config }) => memoryBytes(config, archOf(config) ?? arch, machine.gpu !== null, machine.devices))),
    diskBytes: diskBytes(stages.map(({ config }) => config), arch),
    basis: `${time} ${memory}`,
  };
}

export function tokensOf({ optimiser, data }: RunConfig): number {
  return optimiser.steps * optimiser.batch * data.seq_len;
}

function timeOf(config: RunConfig, arch: Architecture, machine: Machine, benchmarks: readonly Benchmark[]): { seconds: number; from: string | null } {
  const known = measuredSpeed(config, machine, benchmarks);
  const speed = known?.tokensPerSecond ?? guessedSpeed(config, arch, machine);
  const { steps, batch } = config.optimiser;
  // An evaluation has no backward pass: about half of a step a batch.
  const evaluations = config.data.evaluation === null ? 0 : (Math.floor(steps / config.eval_every) + 1) * config.eval_batches * 0.45;
  const start = machine.gpu === null ? 5 : config.compile ? 75 : 15;
  return { seconds: start + ((steps + evaluations) * batch * config.data.seq_len) / speed, from: known?.run ?? null };
}

/** The newest measurement of this shape on this device, scaled to the number of processes. */
function measuredSpeed(config: RunConfig, machine: Machine, benchmarks: readonly Benchmark[]): { tokensPerSecond: number; run: string } | null {
  const shape = benchmarkShape(config);
  const device = machine.gpu ?? "cpu";
  const found = benchmarks.filter((one) => one.shape === shape && one.device === device).toSorted((one, other) => Number(other.devices === machine.devices) - Number(one.devices === machine.devices) || other.measured - one.measured)[0];
  return found ? { tokensPerSecond: (found.tokensPerSecond * machine.devices) / found.devices, run: found.run } : null;
}

function guessedSpeed(config: RunConfig, arch: Architecture, machine: Machine): number {
  const flops = stepFlops(config, arch);
  if (machine.gpu === null) return (machine.cpus * CPU_GFLOPS_A_CORE * 1e9) / flops;
  return (peakOf(machine.gpu).tflops * 1e12 * mfuOf(config, arch) * machine.devices) / flops;
}

function mfuOf(config: RunConfig, arch: Architecture): number {
  const layerwise = config.method === "align" || config.method === "orient" ? LAYERWISE : 1;
  const compiled = layerwise * Math.min(HIGHEST_MFU, MFU_AT_576 * (arch.hidden_size / 576) ** 2);
  return config.compile ? compiled : compiled * NOT_COMPILED;
}

function peakOf(gpu: string): { tflops: number; known: boolean } {
  const found = peaks.find(([part]) => gpu.includes(part));
  return { tflops: found?.[1] ?? UNKNOWN_PEAK, known: found !== undefined };
}

function shapeOf(config: RunConfig): Architecture | null {
  const shape = config.architecture;
  return shape && typeof shape.hidden_size === "number" && typeof shape.num_hidden_layers === "number" ? (shape as unknown as Architecture) : null;
}
