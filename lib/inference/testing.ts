/** For tests and benchmarks in Node: the WebAssembly runtime from node_modules, and runners of synthetic bundles. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { HybridConfig } from "@/lib/hybrid/config";
import { buildGraph, type BuildOptions } from "@/lib/onnx/build";
import { createExpander } from "@/lib/onnx/expand";
import type { SyntheticBundle } from "@/lib/onnx/testing";
import { lazyFiles } from "./external-files";
import { OrtWasm, type OrtWasmFactory } from "./wasm-module";
import { WasmRunner } from "./wasm-runner";

let shared: Promise<OrtWasm> | undefined;

/** One runtime a process: starting one takes a second. */
export function nodeRuntime(threads = 1): Promise<OrtWasm> {
  shared ??= (async () => {
    const path = createRequire(import.meta.url).resolve("onnxruntime-web/ort-wasm-simd-threaded.mjs");
    const { default: factory } = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as { default: OrtWasmFactory };
    return OrtWasm.start(factory, threads);
  })();
  return shared;
}

export async function syntheticRunner(bundle: Pick<SyntheticBundle, "manifest" | "stored">, config: HybridConfig, options: Partial<BuildOptions> & { readonly span?: number } = {}): Promise<WasmRunner> {
  const contextLength = options.contextLength ?? config.architecture.max_position_embeddings;
  const plan = buildGraph(bundle.manifest, config, { format: "f32", provider: "wasm", allLogits: true, ...options });
  return WasmRunner.create(await nodeRuntime(), {
    plan,
    contextLength,
    vocabularySize: options.headTokens?.length ?? config.architecture.vocab_size,
    allLogits: options.allLogits ?? true,
    ...(options.span === undefined ? {} : { span: options.span }),
    files: lazyFiles(plan, createExpander((name) => bundle.stored(config, name))),
  });
}
