/** Parts on WebGPU, with all tensors in GPU buffers. */
import type * as Ort from "onnxruntime-web/webgpu";
import { isInline } from "@/lib/onnx/graph-writer";
import type { GraphPlan, Initialiser } from "@/lib/onnx/plan";
import { DeviceLostError, OutOfMemoryError } from "../errors";
import { translate } from "../webgpu-runner";
import { type Device, type DeviceTensor, elements, type Feeds, type PartSession } from "./device";

type Binding = { readonly tensor: Ort.Tensor; readonly buffer: GPUBuffer | null };
type Bound = DeviceTensor & Binding;

export class WebGpuDevice implements Device {
  readonly provider = "webgpu";
  readonly heapBytes = null;
  private device: GPUDevice | null = null;
  private lost: DeviceLostError | null = null;
  private disposed = false;

  constructor(
    private readonly ort: typeof Ort,
    private readonly onLost?: (error: DeviceLostError) => void,
  ) {}

  async open(plan: GraphPlan, expand: (initialiser: Initialiser) => Uint8Array): Promise<PartSession> {
    const external = plan.initialisers.filter((initialiser) => !isInline(initialiser));
    const session = await this.attempt(() =>
      this.ort.InferenceSession.create(plan.model, {
        executionProviders: [{ name: "webgpu" }],
        logSeverityLevel: 3, // where nodes run is no news to the visitor
        externalData: external.map((initialiser) => ({ path: initialiser.name, data: expand(initialiser) })),
        preferredOutputLocation: Object.fromEntries(plan.outputs.map(({ name }) => [name, "gpu-buffer" as const])),
      }),
    );
    await this.ready();
    const tensors = (feeds: Feeds): Record<string, Ort.Tensor> => Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, (tensor as Bound).tensor]));
    return {
      weightBytes: plan.weightBytes,
      run: async (inputs, outputs) => void (await this.attempt(() => session.run(tensors(inputs), tensors(outputs)))),
      dispose: async () => {
        if (!this.lost) await session.release();
      },
    };
  }

  zeros(shape: readonly number[]): DeviceTensor {
    return this.bound(shape, this.buffer(elements(shape)));
  }

  floats(shape: readonly number[], data: Float32Array<ArrayBuffer>): DeviceTensor {
    const buffer = this.buffer(elements(shape));
    this.held().queue.writeBuffer(buffer, 0, data);
    return this.bound(shape, buffer);
  }

  ids(tokens: readonly number[]): DeviceTensor {
    const shape = [1, tokens.length];
    const bound: Bound = { shape, free: () => undefined, buffer: null, tensor: new this.ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), shape) };
    return bound;
  }

  rows(tensor: DeviceTensor, begin: number, count: number): DeviceTensor {
    const { buffer: from, shape } = tensor as Bound;
    const width = shape.at(-1) ?? 1;
    const to = this.buffer(count * width);
    if (from) {
      const encoder = this.held().createCommandEncoder();
      encoder.copyBufferToBuffer(from, 4 * begin * width, to, 0, 4 * count * width);
      this.held().queue.submit([encoder.finish()]);
    }
    return this.bound([1, count, width], to);
  }

  async read(tensor: DeviceTensor): Promise<Float32Array> {
    const { buffer: from, shape } = tensor as Bound;
    const size = 4 * elements(shape);
    const device = this.held();
    return this.attempt(async () => {
      const staging = device.createBuffer({ size: Math.ceil(size / 16) * 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      try {
        const encoder = device.createCommandEncoder();
        if (from) encoder.copyBufferToBuffer(from, 0, staging, 0, size);
        device.queue.submit([encoder.finish()]);
        await staging.mapAsync(GPUMapMode.READ, 0, size);
        return new Float32Array(staging.getMappedRange(0, size).slice(0));
      } finally {
        staging.destroy();
      }
    });
  }

  dispose(): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }

  /** The runtime makes its device with the first session. */
  private async ready(): Promise<void> {
    if (this.device) return;
    this.device = await this.ort.env.webgpu.device;
    void this.device.lost.then(({ reason, message }) => {
      if (this.disposed || reason === "destroyed") return;
      this.lost = new DeviceLostError(message);
      this.onLost?.(this.lost);
    });
  }

  private held(): GPUDevice {
    if (this.lost) throw this.lost;
    if (!this.device) throw new Error("No session was opened yet.");
    return this.device;
  }

  private buffer(count: number): GPUBuffer {
    const device = this.held();
    const size = Math.ceil((4 * count) / 16) * 16;
    if (size > device.limits.maxStorageBufferBindingSize) throw new OutOfMemoryError(size, null);
    return device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  }

  private bound(shape: readonly number[], buffer: GPUBuffer): Bound {
    const tensor = this.ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims: shape });
    return { shape, buffer, tensor, free: () => buffer.destroy() };
  }

  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    if (this.lost) throw this.lost;
    try {
      return await work();
    } catch (error) {
      throw this.lost ?? translate(error);
    }
  }
}
