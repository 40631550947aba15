/** The message that carries a worker's GPU buffer sizes to its page. */
export const GPU_BYTES = "mambascope-gpu-bytes";

/** Sizes of the WebGPU buffers that a worker made: those not destroyed yet, and the largest that this ever was. */
export type GpuBytes = { live: number; peak: number };
