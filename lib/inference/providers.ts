/** What the browser can run models on, with the reasons in words for the page. */

export type ProviderReport = {
  /** What `auto` takes. */
  readonly chosen: "webgpu" | "wasm";
  readonly webgpu: { readonly available: boolean; readonly reason: string; readonly adapter: string | null };
  readonly wasm: { readonly threads: number; readonly reason: string };
};

/** The largest binding and buffer that the LM head or embedding of a shipped family needs, in bytes. */
const NEEDED_BUFFER = 128 * 2 ** 20;

export async function detectProviders(): Promise<ProviderReport> {
  const webgpu = await detectWebGpu();
  return { chosen: webgpu.available && !webgpu.software ? "webgpu" : "wasm", webgpu, wasm: detectWasm() };
}

/** A software adapter works, but WebAssembly is faster than it: it is taken only on request. */
async function detectWebGpu(): Promise<ProviderReport["webgpu"] & { software: boolean }> {
  const unavailable = (reason: string) => ({ available: false, software: false, reason, adapter: null });
  if (typeof navigator === "undefined" || !navigator.gpu) {
    const insecure = typeof isSecureContext !== "undefined" && !isSecureContext;
    return unavailable(insecure ? "WebGPU needs a secure page (https, or localhost)." : "This browser does not have WebGPU.");
  }
  let adapter: GPUAdapter | null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (error) {
    return unavailable(`The browser's WebGPU failed: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (!adapter) return unavailable("The browser has WebGPU but found no GPU that it can use.");
  const { vendor, architecture, description } = adapter.info;
  const name = [vendor, architecture, description].filter(Boolean).join(" ") || "GPU";
  if (adapter.limits.maxStorageBufferBindingSize < NEEDED_BUFFER) {
    return unavailable(`The GPU (${name}) binds buffers of at most ${Math.floor(adapter.limits.maxStorageBufferBindingSize / 1e6)} MB, too small for the models.`);
  }
  const software = adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(name);
  const reason = software ? `WebGPU is emulated in software (${name}), which is slower than WebAssembly.` : `WebGPU on ${name}.`;
  return { available: true, software, reason, adapter: name };
}

/**
 * Threads for WebAssembly. Decoding is bound by memory bandwidth, which a few threads use up; more than the machine has free make
 * every product wait for the slowest. Measured on two cores: 14 ms a token with one thread and 9 with two on an idle machine.
 */
function detectWasm(): ProviderReport["wasm"] {
  const isolated = typeof crossOriginIsolated === "undefined" || crossOriginIsolated;
  if (!isolated) return { threads: 1, reason: "One thread: the page is not cross-origin isolated, so that threads cannot share memory." };
  const cores = typeof navigator === "undefined" ? 1 : (navigator.hardwareConcurrency ?? 1);
  const threads = Math.max(1, Math.min(4, cores));
  return { threads, reason: `${threads} ${threads === 1 ? "thread" : "threads"} of ${cores}.` };
}
