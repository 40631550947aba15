/** Loading a family for the probe: the teacher's parts at once, the mixers of a set when they are first used. */
import { requiredTensors } from "@/lib/hybrid/tensors";
import { type Part, partConfig } from "@/lib/onnx/parts";
import { openWeightCache } from "@/lib/weights/cache";
import { fetchManifest, type LoadedBundle, loadBundleFiles } from "@/lib/weights/loader";
import { type Manifest, resolveTensor, tensorBytes, WeightError } from "@/lib/weights/manifest";
import { type DeviceLostError, UnsupportedError } from "../errors";
import { chooseProvider } from "../model";
import type { ProviderReport } from "../providers";
import type { Runtimes } from "../runtime";
import { Tokenizer } from "../tokenizer";
import { type Call, simpleCall } from "./call";
import type { Device } from "./device";
import { partBytes, PartStore, type TensorReader } from "./part-store";
import { type Description, Probe } from "./probe";
import { Reading } from "./reading";
import { WasmDevice } from "./wasm-device";
import { WebGpuDevice } from "./webgpu-device";

export type ProbeLoadRequest = {
  readonly manifestUrl: string;
  readonly provider: "auto" | "webgpu" | "wasm";
  readonly threads?: number | undefined;
};

export type ProbeLoadHooks = {
  readonly runtimes: Runtimes;
  readonly providers: ProviderReport;
  readonly call?: Call;
  readonly onLost?: ((error: DeviceLostError) => void) | undefined;
};

/** Loads a family's teacher. Throws InferenceFailure, WeightError, HybridConfigError or the signal's reason. */
export async function loadProbe(request: ProbeLoadRequest, { runtimes, providers, call = simpleCall(), onLost }: ProbeLoadHooks): Promise<Probe> {
  const started = performance.now();
  const { provider, reason, precision } = chooseProvider({ provider: request.provider, precision: "auto" }, providers);
  call.onProgress?.({ phase: "manifest", done: 0, total: 0, unit: "steps", message: "Reading the manifest" });
  const manifest = await fetchManifest(request.manifestUrl, call.signal);
  const bundles = await openBundles(request.manifestUrl, manifest, call);
  const files = await bundles.teacher.tokenizer();
  const tokenizer = new Tokenizer(files.tokenizer as object, files.config as object);
  const threads = provider === "wasm" ? Math.min(request.threads ?? providers.wasm.threads, providers.wasm.threads) : 1;
  const device: Device = provider === "wasm" ? new WasmDevice(await runtimes.wasm(threads)) : new WebGpuDevice(await runtimes.webgpu(), onLost);
  const parts = new PartStore(device, manifest, precision, bundles.read);
  try {
    await openTeacher(manifest, parts, (part) => partBytes(manifest, part, precision), call);
    if (provider === "webgpu") await warmUp(device, parts, manifest, call);
  } catch (error) {
    await parts.dispose().catch(() => undefined); // a lost device cannot be released in order
    await device.dispose();
    throw error;
  }
  const description: Description = {
    provider,
    providerReason: reason,
    threads,
    warnings: () => bundles.teacher.warnings.map(({ message, action }) => `${message} ${action}`),
    bundleBytes: teacherBytes(manifest),
    loadMs: performance.now() - started,
  };
  return new Probe(device, parts, manifest, tokenizer, description, bundles.prepare);
}

type Bundles = {
  readonly teacher: LoadedBundle;
  readonly read: TensorReader;
  /** Makes a set's files local. */
  readonly prepare: (set: string, call: Call) => Promise<void>;
};

async function openBundles(manifestUrl: string, manifest: Manifest, call: Call): Promise<Bundles> {
  const cache = await openWeightCache();
  const count = manifest.architecture.num_hidden_layers;
  const open = (layers: readonly string[], { signal, onProgress }: Call): Promise<LoadedBundle> =>
    loadBundleFiles(manifestUrl, layers, {
      cache,
      ...(signal ? { signal } : {}),
      onProgress: ({ loaded, total, cached }) =>
        onProgress?.({ phase: "download", done: loaded, total, unit: "bytes", message: cached >= loaded ? "Reading from the cache" : "Downloading" }),
    });
  const teacher = new Array<string>(count).fill("attention");
  requireTeacher(manifest);
  const opened = new Map<string | null, LoadedBundle>([[null, await open(teacher, call)]]);
  return {
    teacher: opened.get(null)!,
    prepare: async (set, setCall) => {
      if (opened.has(set)) return;
      const { mixer, layers: held } = manifest.mixer_sets[set]!;
      opened.set(set, await open(teacher.map((spec, layer) => (held.includes(layer) ? `${mixer}:${set}` : spec)), setCall));
    },
    read: async (set, name) => {
      const { entry, parts } = await opened.get(set)!.tensor(name);
      return { codec: entry.codec, shape: entry.shape, parts };
    },
  };
}

/** A published hybrid's base may lack the attention that its mixers replaced. */
function requireTeacher(manifest: Manifest): void {
  const config = partConfig(manifest, { kind: "embed" });
  try {
    for (const { name } of requiredTensors(config, {})) resolveTensor(manifest, config, name);
  } catch (error) {
    if (!(error instanceof WeightError)) throw error;
    throw new UnsupportedError(`"${manifest.title}" holds no teacher: the attention of some of its layers is not in the bundle.`, "Choose a family that has its teacher.");
  }
}

const teacherParts = ({ architecture: { num_hidden_layers: count } }: Manifest): Part[] => [
  // The runtime repacks each weight into a new place: the greatest first, so that the place that it frees takes others.
  { kind: "head" },
  { kind: "embed" },
  ...Array.from({ length: count }, (_, layer) => (["mixer", "mlp"] as const).map((kind): Part => ({ kind, layer, spec: "attention" }))).flat(),
];

async function openTeacher(manifest: Manifest, parts: PartStore, sizeOf: (part: Part) => number, call: Call): Promise<void> {
  const all = teacherParts(manifest);
  const total = all.reduce((sum, part) => sum + sizeOf(part), 0);
  let done = 0;
  for (const part of all) {
    await call.checkpoint();
    await parts.open(part, (bytes) => {
      done += bytes;
      call.onProgress?.({ phase: "expand", done, total, unit: "bytes", message: "Expanding the weights" });
    });
  }
}

/** Compiles the shaders, which takes the first run otherwise. */
async function warmUp(device: Device, parts: PartStore, manifest: Manifest, call: Call): Promise<void> {
  const onProgress: Call["onProgress"] = (progress) => call.onProgress?.({ ...progress, phase: "warmup", message: "Warming up" });
  (await Reading.read(device, parts, manifest, [0, 0], { ...call, onProgress })).dispose();
}

function teacherBytes(manifest: Manifest): number {
  const config = partConfig(manifest, { kind: "embed" });
  return requiredTensors(config, {}).reduce((sum, { name }) => sum + tensorBytes(resolveTensor(manifest, config, name)), 0);
}
