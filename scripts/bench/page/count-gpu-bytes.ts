/** Counts the sizes of the GPU buffers that this worker makes from here on. */
import { GPU_BYTES, type GpuBytes } from "./gpu-bytes";

const bytes: GpuBytes = { live: 0, peak: 0 };
const channel = new BroadcastChannel(GPU_BYTES);
channel.onmessage = ({ data }) => {
  if (data === "ask") channel.postMessage(bytes);
};

const sizes = new WeakMap<GPUBuffer, number>();
const { createBuffer } = GPUDevice.prototype;
GPUDevice.prototype.createBuffer = function (descriptor) {
  const buffer = createBuffer.call(this, descriptor);
  sizes.set(buffer, buffer.size);
  bytes.live += buffer.size;
  bytes.peak = Math.max(bytes.peak, bytes.live);
  return buffer;
};
const { destroy } = GPUBuffer.prototype;
GPUBuffer.prototype.destroy = function () {
  bytes.live -= sizes.get(this) ?? 0;
  sizes.delete(this); // a buffer may be destroyed twice
  return destroy.call(this);
};
