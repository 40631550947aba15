/** For tests and benchmarks in Node: bundles on disk, and sessions on the WebAssembly runtime. */
import { existsSync } from "node:fs";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { HybridConfig } from "@/lib/hybrid/config";
import type { StoredTensor } from "@/lib/onnx/expand";
import type { TensorBytes } from "@/lib/weights/codecs";
import { fileOf, hybridConfigOf, type Manifest, parseManifest, resolveTensor, tensorParts } from "@/lib/weights/manifest";
import { parseTokenRanking } from "@/lib/weights/token-ranking";
import { syntheticRunner } from "../testing";
import type { Drafter } from "./drafter";
import { type FeatureSource, hasFeatureDraft } from "./features";
import { firstLayers } from "./first-layers";
import { LookupDrafter } from "./lookup";
import { ModelDrafter } from "./model-drafter";
import { shortlistOf } from "./shortlist";
import { SpeculativeSession } from "./session";
import { type DraftChoice, MAX_DRAFTED } from "./types";

export type DiskBundle = {
  readonly manifest: Manifest;
  config(variant: string): HybridConfig;
  stored(config: HybridConfig, name: string): StoredTensor;
  /** A file of the bundle, or null if it is not there. */
  read(file: string): Buffer | null;
  /** As a loaded bundle gives it. */
  tokenRanking(): Promise<Uint32Array | null>;
};

const SPAN = MAX_DRAFTED + 1;

/** A bundle spread over folders, of which later ones fill in what earlier ones lack. */
export function diskBundle(...folders: string[]): DiskBundle {
  const shards = new Map<string, Buffer>();
  const read = (file: string): Buffer | null => {
    const found = folders.map((folder) => path.join(folder, file)).find(existsSync);
    if (!found) return null;
    const bytes = shards.get(file) ?? readFileSync(found);
    shards.set(file, bytes);
    return bytes;
  };
  const needed = (file: string): Buffer => {
    const bytes = read(file);
    if (!bytes) throw new Error(`${file} is in none of ${folders.join(", ")}.`);
    return bytes;
  };
  const manifest = parseManifest(JSON.parse(needed("manifest.json").toString("utf8")));
  const stored = (config: HybridConfig, name: string): StoredTensor => {
    const entry = resolveTensor(manifest, config, name);
    const parts: Partial<Record<keyof TensorBytes, Uint8Array>> = {};
    for (const { part, range } of tensorParts(entry)) parts[part] = Uint8Array.from(needed(entry.file).subarray(...range));
    return { codec: entry.codec, shape: entry.shape, parts };
  };
  const tokenRanking = async (): Promise<Uint32Array | null> => {
    if (!manifest.token_ranking) return null;
    const { name } = fileOf(manifest, manifest.token_ranking.file);
    return Promise.resolve(parseTokenRanking(needed(name), manifest));
  };
  return { manifest, config: (variant) => hybridConfigOf(manifest, variant), stored, read, tokenRanking };
}

const at = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The shipped stories family, and the trainer's fixture with its drafts. */
export const storiesBundle = (): DiskBundle => diskBundle(at("../../../public/models/stories"));
export const fixtureBundle = (): DiskBundle => diskBundle(at("../fixtures/drafts"));

type SessionSource = Pick<DiskBundle, "manifest" | "stored"> & Partial<Pick<DiskBundle, "tokenRanking">>;

/** A target of the bundle with a draft of it, as the worker would load it. */
export async function diskSession(bundle: SessionSource, target: HybridConfig, draft: DraftChoice, contextLength = 256): Promise<SpeculativeSession> {
  const hidden = hasFeatureDraft(bundle.manifest);
  const runner = await syntheticRunner(bundle, target, { rollback: true, span: SPAN, contextLength, hidden });
  return new SpeculativeSession(runner, await diskDrafter(bundle, target, draft, contextLength, runner));
}

/** `features`: the target's runner, which a feature draft reads the hidden states of. */
export async function diskDrafter(bundle: SessionSource, target: HybridConfig, draft: DraftChoice, contextLength = 256, features?: FeatureSource): Promise<Drafter> {
  if (draft.kind === "lookup") return new LookupDrafter(draft.longest, draft.shortest);
  const config = draft.kind === "layers" ? firstLayers(target, draft.count) : hybridConfigOf(bundle.manifest, draft.variant!);
  const tokens = await shortlistOf({ tokenRanking: () => Promise.resolve(null), ...bundle }, draft.shortlist);
  const runner = await syntheticRunner(bundle, config, { rollback: true, span: SPAN, contextLength, headTokens: tokens });
  return new ModelDrafter(runner, { tokens, lookup: draft.lookup, ...(features && { features }) });
}
