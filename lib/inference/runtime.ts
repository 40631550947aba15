/** Where the ONNX Runtime files come from in the browser. */
import type * as Ort from "onnxruntime-web/webgpu";
import { OrtWasm, type OrtWasmFactory } from "./wasm-module";

/** How the two runtimes are started; tests and tools bring their own. */
export type Runtimes = {
  wasm(threads: number): Promise<OrtWasm>;
  webgpu(): Promise<typeof Ort>;
};

/** The runtime's files, served by the page's own server under `base`. */
export function browserRuntimes(base = "/ort/"): Runtimes {
  return {
    wasm: async (threads) => {
      const url = new URL(`${base}ort-wasm-simd-threaded.mjs`, location.href).href;
      // The module finds its .wasm file and its thread workers beside itself, so it must not be bundled.
      const { default: factory } = (await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ url)) as { default: OrtWasmFactory };
      return OrtWasm.start(factory, threads);
    },
    webgpu: async () => {
      const ort = await import("onnxruntime-web/webgpu");
      ort.env.wasm.wasmPaths = new URL(base, location.href).href;
      ort.env.wasm.numThreads = 1; // the CPU has nothing to compute
      ort.env.logLevel = "error";
      return ort;
    },
  };
}
