/** From a bundle's address to a runner in memory. */
import { architectureOf, type HybridConfig } from "@/lib/hybrid/config";
import { parsePattern } from "@/lib/hybrid/pattern";
import { buildGraph } from "@/lib/onnx/build";
import { createExpander, type StoredTensor } from "@/lib/onnx/expand";
import type { GraphPlan, Initialiser } from "@/lib/onnx/plan";
import { buildUnrolled } from "@/lib/onnx/unroll";
import { requiredTensors } from "@/lib/hybrid/tensors";
import { openWeightCache } from "@/lib/weights/cache";
import { fetchManifest, type HybridCheck, type LoadedBundle, loadBundleFiles } from "@/lib/weights/loader";
import { BadInputError } from "./errors";
import { lazyFiles } from "./external-files";
import type { LoadHooks } from "./model";
import type { RollbackRunner } from "./runner";
import { WasmRunner } from "./wasm-runner";
import { WebGpuChain } from "./webgpu-chain";
import { WebGpuRunner } from "./webgpu-runner";

export type BundleRequest = {
  readonly manifestUrl: string;
  /** One of the two. */
  readonly variant?: string | undefined;
  readonly pattern?: string | undefined;
};

/**
 * Makes a hybrid's files local. Throws WeightError, HybridConfigError, BadInputError, the signal's reason, or what `check` throws before
 * anything but the manifest is fetched.
 */
export async function openBundle(request: BundleRequest, { signal, onProgress }: Pick<LoadHooks, "signal" | "onProgress">, check?: HybridCheck): Promise<LoadedBundle> {
  let layers: string | readonly string[];
  if (request.pattern !== undefined) {
    const { architecture, mixer_sets: sets } = await fetchManifest(request.manifestUrl, signal);
    const expected = architectureOf(architecture, parsePattern(request.pattern), sets).num_hidden_layers;
    layers = parsePattern(request.pattern, expected);
  } else if (request.variant !== undefined) layers = request.variant;
  else throw new BadInputError("Neither a variant nor a pattern was given.");
  return loadBundleFiles(request.manifestUrl, layers, {
    cache: await openWeightCache(),
    check,
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
  /** The target of a chain: gives greedy choices without their logits. */
  readonly choices?: boolean;
  /** Gives the hidden states of all tokens: a feature draft's target. A feature draft itself gives them always. */
  readonly hidden?: boolean;
};

/** A runner of `config`, whose tensors the bundle holds, and what expanding its weights took. */
export async function openRunner(
  bundle: LoadedBundle,
  config: HybridConfig,
  options: RunnerOptions,
  hooks: Pick<LoadHooks, "runtimes" | "signal" | "onProgress" | "onLost">,
): Promise<{ runner: RollbackRunner; plan: GraphPlan; expandMs: number }> {
  const { provider, precision: format, contextLength, allLogits = false, span, headTokens, choices = false, hidden = false } = options;
  const rollback = span !== undefined;
  const plan = buildGraph(bundle.manifest, config, { format, provider, allLogits, contextLength, rollback, headTokens, choices, hidden });
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
  return { runner, plan, expandMs };
}

/** The draft of a chain: what its runner was opened with, and its plan. */
export type OpenedDraft = { readonly bundle: LoadedBundle; readonly config: HybridConfig; readonly options: RunnerOptions; readonly plan: GraphPlan; readonly runner: RollbackRunner };

/** Both as a chain, whose graphs are built from the draft's bundle when they are needed; null where they do not run on WebGPU. The target must have been opened with `choices`. */
export function openChain(target: RollbackRunner, { bundle, config, options, plan: single, runner }: OpenedDraft): WebGpuChain | null {
  if (!(target instanceof WebGpuRunner) || !(runner instanceof WebGpuRunner)) return null;
  const { precision: format, provider, contextLength, headTokens } = options;
  return new WebGpuChain(target, runner, {
    unroll: async (steps) => {
      const tensors = await readTensors(bundle, config);
      const plan = buildUnrolled(bundle.manifest, config, single, { format, provider, contextLength, headTokens }, steps);
      return { plan, expand: createExpander((name) => tensors.get(name) ?? missing(name)) };
    },
  });
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
