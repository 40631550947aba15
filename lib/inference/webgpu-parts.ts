/** Buffers for a graph's outputs on WebGPU that are kept from pass to pass, and read back together. */
import type * as Ort from "onnxruntime-web/webgpu";

/** The first `bytes` of a buffer. */
export type Part = { readonly name: string; readonly buffer: GPUBuffer; readonly bytes: number };

export class WebGpuParts {
  private readonly buffers = new Map<string, GPUBuffer>();

  constructor(
    private readonly ort: typeof Ort,
    private readonly device: GPUDevice,
  ) {}

  part(name: string, bytes: number): Part {
    return { name, bytes, buffer: this.buffer(name, bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST) };
  }

  tensor({ buffer }: Part, dataType: "int32" | "int64" | "float32", dims: readonly number[]): Ort.Tensor {
    return this.ort.Tensor.fromGpuBuffer(buffer, { dataType, dims });
  }

  /** Copies all parts into one buffer, and that to the CPU: their bytes by name. */
  async read(parts: readonly Part[]): Promise<Map<string, ArrayBuffer>> {
    const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const staging = this.buffer("staging", total, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    const encoder = this.device.createCommandEncoder();
    let at = 0;
    for (const { buffer, bytes } of parts) {
      encoder.copyBufferToBuffer(buffer, 0, staging, at, bytes);
      at += bytes;
    }
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, total);
    const mapped = staging.getMappedRange(0, total);
    const read = new Map<string, ArrayBuffer>();
    at = 0;
    for (const { name, bytes } of parts) {
      read.set(name, mapped.slice(at, at + bytes));
      at += bytes;
    }
    staging.unmap();
    return read;
  }

  dispose(): void {
    for (const buffer of this.buffers.values()) buffer.destroy();
    this.buffers.clear();
  }

  /** A buffer of this name, replaced by a larger one when it must be. */
  private buffer(name: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.ceil(bytes / 16) * 16;
    const known = this.buffers.get(name);
    if (known && known.size >= size) return known;
    known?.destroy();
    const buffer = this.device.createBuffer({ size, usage });
    this.buffers.set(name, buffer);
    return buffer;
  }
}
