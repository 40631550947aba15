/** Where the probe computes: tensors that stay on the provider, and sessions of one part each that read and write them. */
import type { Initialiser, GraphPlan } from "@/lib/onnx/plan";

/** A float32 tensor, or the token ids, in the provider's memory. Owned by whoever asked for it: `free` it once. */
export interface DeviceTensor {
  readonly shape: readonly number[];
  free(): void;
}

export type Feeds = Readonly<Record<string, DeviceTensor>>;

export interface PartSession {
  readonly weightBytes: number;
  /** Runs the part; `outputs` are overwritten. Outputs of the graph that are not named are not kept. */
  run(inputs: Feeds, outputs: Feeds): Promise<void>;
  dispose(): Promise<void>;
}

export interface Device {
  readonly provider: "wasm" | "webgpu";
  /** Size of the WebAssembly heap; null where there is none. */
  readonly heapBytes: number | null;
  /** Throws OutOfMemoryError, DeviceLostError, RuntimeError, as all methods do. */
  open(plan: GraphPlan, expand: (initialiser: Initialiser) => Uint8Array): Promise<PartSession>;
  /** A tensor of zeros. */
  zeros(shape: readonly number[]): DeviceTensor;
  floats(shape: readonly number[], data: Float32Array<ArrayBuffer>): DeviceTensor;
  ids(tokens: readonly number[]): DeviceTensor;
  /** Rows `begin` to `begin + count` of a (1, T, D) tensor as a tensor of their own; `free` it too. */
  rows(tensor: DeviceTensor, begin: number, count: number): DeviceTensor;
  /** The tensor's numbers, valid until the next call of any method. */
  read(tensor: DeviceTensor): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
