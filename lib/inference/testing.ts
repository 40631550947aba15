/** For tests and benchmarks in Node: the WebAssembly runtime from node_modules, and runners of synthetic bundles. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { HybridConfig } from "@/lib/hybrid/config";
import { buildGraph, type BuildOptions } from "@/lib/onnx/build";
import { createExpander } from "@/lib/onnx/expand";
import { BYTES_PER_ELEMENT, type GraphPlan, type Initialiser } from "@/lib/onnx/plan";
import type { SyntheticBundle } from "@/lib/onnx/testing";
import { lazyFiles } from "./external-files";
import { type HeapTensorType, type NamedTensor, OrtWasm, type OrtWasmFactory } from "./wasm-module";
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

export type TestTensor = { readonly type: HeapTensorType; readonly shape: readonly number[]; readonly values: readonly number[] };

/** Runs a graph once, on copies: its outputs, of the shapes that `outputs` names. */
export async function runGraph(
  bundle: Pick<SyntheticBundle, "manifest" | "stored">,
  config: HybridConfig,
  plan: Pick<GraphPlan, "model" | "initialisers"> & { readonly shared?: readonly Initialiser[] },
  feeds: Readonly<Record<string, TestTensor>>,
  outputs: Readonly<Record<string, Omit<TestTensor, "values">>>,
): Promise<Record<string, number[]>> {
  const runtime = await nodeRuntime();
  const expand = createExpander((name) => bundle.stored(config, name));
  const session = await runtime.createSession({ model: plan.model, files: lazyFiles(plan, expand) });
  const place = (name: string, { type, shape }: Omit<TestTensor, "values">): NamedTensor & { pointer: number; count: number } => {
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = BYTES_PER_ELEMENT[type] * count;
    const pointer = runtime.allocate(bytes);
    return { name: runtime.string(name), tensor: runtime.tensor(type, pointer, bytes, shape), pointer, count };
  };
  const view = (type: HeapTensorType, pointer: number, count: number): Float32Array | Int32Array | BigInt64Array => {
    const { buffer } = runtime.bytes(pointer, BYTES_PER_ELEMENT[type] * count);
    if (type === "int64") return new BigInt64Array(buffer, pointer, count);
    return type === "int32" ? new Int32Array(buffer, pointer, count) : new Float32Array(buffer, pointer, count);
  };
  const weights = (plan.shared ?? []).map((initialiser) => {
    const placed = place(initialiser.name, { type: initialiser.type, shape: initialiser.shape });
    runtime.bytes(placed.pointer, initialiser.bytes).set(expand(initialiser));
    return placed;
  });
  const inputs = Object.entries(feeds).map(([name, tensor]) => ({ ...place(name, tensor), tensor_: tensor }));
  const results = Object.entries(outputs).map(([name, tensor]) => ({ ...place(name, tensor), key: name, type: tensor.type }));
  for (const { pointer, count, tensor_: { type, values } } of inputs) {
    const memory = view(type, pointer, count);
    values.forEach((value, index) => (memory[index] = memory instanceof BigInt64Array ? BigInt(value) : value));
  }
  await runtime.run(session, [...inputs, ...weights], results);
  const found = Object.fromEntries(results.map(({ key, type, pointer, count }) => [key, Array.from(view(type, pointer, count), Number)]));
  for (const { name, tensor, pointer } of [...inputs, ...weights, ...results]) {
    runtime.releaseTensor(tensor);
    runtime.free(pointer);
    runtime.free(name);
  }
  runtime.releaseSession(session);
  return found;
}
