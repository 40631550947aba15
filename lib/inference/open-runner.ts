/** From a bundle's address to a runner in memory. */
import { architectureOf, type HybridConfig } from "@/lib/hybrid/config";
import { parsePattern } from "@/lib/hybrid/pattern";
import { buildGraph } from "@/lib/onnx/build";
import { createExpander, type StoredTensor } from "@/lib/onnx/expand";
import type { GraphPlan, Initialiser } from "@/lib/onnx/plan";
import { requiredTensors } from "@/lib/hybrid/tensors";
import { openWeightCache } from "@/lib/weights/cache";
import { fetchManifest, type LoadedBundle, loadBundleFiles } from "@/lib/weights/loader";
import { BadInputError } from "./errors";
import { lazyFiles } from "./external-files";
import type { LoadHooks } from "./model";
import type { RollbackRunner } from "./runner";
import { WasmRunner } from "./wasm-runner";
import { WebGpuRunner } from "./webgpu-runner";

export type BundleRequest = {
  readonly manifestUrl: string;
  /** One of the two. */
  readonly variant?: string | undefined;
  readonly pattern?: string | undefined;
};

/** Makes a hybrid's files local. Throws WeightError, HybridConfigError, BadInputError or the signal's reason. */
export async function openBundle(request: BundleRequest, { signal, onProgress }: Pick<LoadHooks, "signal" | "onProgress">): Promise<LoadedBundle> {
  let layers: string | readonly string[];
  if (request.pattern !== undefined) {
    const { architecture, mixer_sets: sets } = await fetchManifest(request.manifestUrl, signal);
    const expected = architectureOf(architecture, parsePattern(request.pattern), sets).num_hidden_layers;
    layers = parsePattern(request.pattern, expected);
  } else if (request.variant !== undefined) layers = request.variant;
  else throw new BadInputError("Neither a variant nor a pattern was given.");
  return loadBundleFiles(request.manifestUrl, layers, {
    cache: await openWeightCache(),
    ...(signal ? { signal } : {}),
    onProgress: ({ loaded, total, cached }) =>
      onProgress?.({ phase: "download", message: cached >= loaded ? "Reading from the cache" : "Downloading", done: loaded, total, unit: "bytes" }),
  });
}

export type RunnerOptions = {
  readonly provider: "webgpu" | "wasm";
  readonly precision: "f32" | "quantised";
  readonly contextLength: number;
  readonly threads: number;
  readonly allLogits?: boolean;
  /** Most tokens that can be taken back. Without it, none can. */
  readonly span?: number;
  /** Logits of these tokens only, in this order. */
  readonly headTokens?: Uint32Array | undefined;
};

/** A runner of `config`, whose tensors the bundle holds, and what expanding its weights took. */
export async function openRunner(
  bundle: LoadedBundle,
  config: HybridConfig,
  options: RunnerOptions,
  hooks: Pick<LoadHooks, "runtimes" | "signal" | "onProgress" | "onLost">,
): Promise<{ runner: RollbackRunner; expandMs: number }> {
  const { provider, precision: format, contextLength, allLogits = false, span, headTokens } = options;
  const rollback = span !== undefined;
  const plan = buildGraph(bundle.manifest, config, { format, provider, allLogits, contextLength, rollback, headTokens });
  const progress = (message: string, done: number): void => hooks.onProgress?.({ phase: "expand", message, done, total: plan.weightBytes, unit: "bytes" });
  progress("Reading the weights", 0);
  const started = performance.now();
  const tensors = await readTensors(bundle, config);
  hooks.signal?.throwIfAborted();
  let expandMs = performance.now() - started;
  let expanded = 0;
  const expand = createExpander((name) => tensors.get(name) ?? missing(name));
  const timed = (initialiser: Initialiser): Uint8Array => {
    const begin = performance.now();
    const bytes = expand(initialiser);
    expandMs += performance.now() - begin;
    expanded += initialiser.bytes;
    progress("Expanding the weights", expanded);
    return bytes;
  };
  const vocabularySize = headTokens?.length ?? config.architecture.vocab_size;
  const runner = await createRunner(plan, { ...options, allLogits, vocabularySize }, hooks, timed);
  tensors.clear(); // the session holds its own copies
  return { runner, expandMs };
}

async function readTensors({ manifest, tensor }: LoadedBundle, config: HybridConfig): Promise<Map<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  for (const { name } of requiredTensors(config, manifest.mixer_sets)) {
    const { entry, parts } = await tensor(name);
    tensors.set(name, { codec: entry.codec, shape: entry.shape, parts });
  }
  return tensors;
}

async function createRunner(
  plan: GraphPlan,
  { provider, contextLength, allLogits, threads, vocabularySize, span }: RunnerOptions & { readonly allLogits: boolean; readonly vocabularySize: number },
  { runtimes, onLost }: Pick<LoadHooks, "runtimes" | "onLost">,
  expand: (initialiser: Initialiser) => Uint8Array,
): Promise<RollbackRunner> {
  const common = { plan, contextLength, allLogits, ...(span === undefined ? {} : { span }) };
  if (provider === "wasm") {
    const runtime = await runtimes.wasm(threads);
    return WasmRunner.create(runtime, { ...common, vocabularySize, files: lazyFiles(plan, expand) });
  }
  return WebGpuRunner.create(await runtimes.webgpu(), { ...common, expand, ...(onLost ? { onLost } : {}) });
}

function missing(name: string): never {
  throw new Error(`The tensor "${name}" was not read.`);
}
