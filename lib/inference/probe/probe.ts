/** The explorer's model: one text, read by the teacher and by any hybrid of it, computed again only from what changed. */
import { compareDistributions, perplexity } from "@/lib/evaluation/comparison";
import type { Comparison, LayerDistance, LayerSensitivity } from "@/lib/evaluation/types";
import { draftOf, parseLayerSpec } from "@/lib/hybrid/config";
import { customConfig, type Manifest } from "@/lib/weights/manifest";
import { BadInputError, RuntimeError } from "../errors";
import type { Tokenizer } from "../tokenizer";
import type { Call } from "./call";
import type { Device } from "./device";
import type { PartStore } from "./part-store";
import { lookInside } from "./inside";
import { measureDistances, measureSensitivity } from "./layers";
import { piecesOf } from "./pieces";
import { Reading } from "./reading";
import type { LayerInside, ProbeInfo, ProbeText } from "./types";

/** Tokens of a text at most: the attention's matrices grow with the square. */
const MAX_TOKENS = 1024;
/** Comparisons kept a text, so that going back to one costs nothing. */
const KEPT_COMPARISONS = 64;

export type Description = {
  readonly provider: "webgpu" | "wasm";
  readonly providerReason: string;
  readonly threads: number;
  readonly warnings: () => readonly string[];
  readonly bundleBytes: number;
  readonly loadMs: number;
};

/** Requests must run one at a time, except that others may run while one awaits its checkpoint. */
export class Probe {
  private reading: Reading | null = null;
  private comparisons = new Map<string, Comparison>();
  private distanceCache = new Map<string, LayerDistance[]>();
  private sensitivityCache = new Map<string, LayerSensitivity>();

  constructor(
    private readonly device: Device,
    private readonly parts: PartStore,
    private readonly manifest: Manifest,
    private readonly tokenizer: Tokenizer,
    private readonly description: Description,
    private readonly prepareSet: (set: string, call: Call) => Promise<void>,
  ) {}

  get maxTokens(): number {
    return Math.min(MAX_TOKENS, this.manifest.architecture.max_position_embeddings);
  }

  info(): ProbeInfo {
    const { manifest, description } = this;
    const { architecture, mixer_sets: sets } = manifest;
    const { provider, providerReason, threads, warnings, bundleBytes, loadMs } = description;
    return {
      family: manifest.family,
      title: manifest.title,
      layers: architecture.num_hidden_layers,
      heads: architecture.num_attention_heads,
      groups: architecture.num_key_value_heads,
      sets: Object.entries(sets).flatMap(([name, { draft, layers }]) => (draft || layers.length === 0 ? [] : [{ name, layers }])),
      variants: Object.entries(manifest.variants).flatMap(([name, { title, layers }]) => (draftOf(layers, sets) ? [] : [{ name, title, layers }])),
      maxTokens: this.maxTokens,
      vocabularySize: architecture.vocab_size,
      provider,
      providerReason,
      threads,
      warnings: [...warnings()],
      memory: { weightBytes: this.parts.weightBytes, bundleBytes, heapBytes: this.device.heapBytes },
      loadMs,
    };
  }

  /** Reads a text with the teacher. Throws BadInputError for a text without tokens. */
  async text(text: string, call: Call): Promise<ProbeText> {
    const { bos } = this.manifest.special_tokens;
    const encoded = this.tokenizer.encode(text);
    if (encoded.length === 0) throw new BadInputError("The text is empty.", "Write or paste some text.");
    return this.readTokens(bos === null || encoded[0] === bos ? encoded : [bos, ...encoded], call);
  }

  /** The same for token ids. */
  async readTokens(all: readonly number[], call: Call): Promise<ProbeText> {
    const started = performance.now();
    const tokens = all.slice(0, this.maxTokens);
    const unknown = tokens.find((token) => token >= this.manifest.architecture.vocab_size);
    if (unknown !== undefined) throw new BadInputError(`Token ${unknown} is not in the model's vocabulary.`);
    this.forget(); // first, so that two texts are never held at once
    const reading = await Reading.read(this.device, this.parts, this.manifest, tokens, call);
    this.reading = reading;
    const teacherPerplexity = perplexity(reading.teacher.logProbability);
    if (Number.isNaN(teacherPerplexity)) throw brokenNumbers();
    return {
      tokens,
      pieces: piecesOf(tokens, (ids) => this.tokenizer.decode(ids, { keepSpecial: true })),
      dropped: all.length - tokens.length,
      teacherPerplexity,
      milliseconds: performance.now() - started,
    };
  }

  /** Compares a hybrid with the teacher; `from` is the first layer that was computed again (the count of layers: none). */
  async compare(layers: readonly string[], call: Call): Promise<{ comparison: Comparison; from: number; milliseconds: number }> {
    const started = performance.now();
    const reading = this.held();
    this.checkHybrid(layers);
    const key = layers.join();
    const known = this.comparisons.get(key);
    if (known) return { comparison: known, from: layers.length, milliseconds: performance.now() - started };
    await this.prepare(layers, call);
    const from = await reading.follow(layers, call);
    const { student, kl } = await reading.compareTrace(call);
    const comparison = compareDistributions(layers, reading.teacher, student, kl);
    if (Number.isNaN(comparison.totals.kl)) throw brokenNumbers();
    this.comparisons.set(key, comparison);
    const [oldest] = this.comparisons.keys();
    if (this.comparisons.size > KEPT_COMPARISONS && oldest !== undefined) this.comparisons.delete(oldest);
    return { comparison, from, milliseconds: performance.now() - started };
  }

  /** Each layer's Mamba mixer against its attention, for the layers that the set holds. */
  async distances(set: string, call: Call): Promise<LayerDistance[]> {
    const reading = this.held();
    const layers = this.layersOf(set);
    const known = this.distanceCache.get(set);
    if (known) return known;
    await this.prepareSet(set, call);
    const distances = await measureDistances(this.device, reading, layers, this.specOf(set), call);
    if (reading === this.reading) this.distanceCache.set(set, distances);
    return distances;
  }

  /** What replacing one layer alone costs, a layer at a time; layers done before are not computed again. */
  async sensitivity(set: string, wanted: readonly number[] | undefined, call: Call, onLayer: (result: LayerSensitivity) => void): Promise<LayerSensitivity[]> {
    const reading = this.held();
    const layers = this.layersOf(set);
    const absent = wanted?.find((layer) => !layers.includes(layer));
    if (absent !== undefined) throw new BadInputError(`Mixer set "${set}" has no mixer for layer ${absent}.`, "Choose layers that the set holds.");
    const cache = this.sensitivityCache;
    const results: LayerSensitivity[] = [];
    await this.prepareSet(set, call);
    for (const [done, layer] of (wanted ?? layers).entries()) {
      call.onProgress?.({ phase: "sensitivity", done, total: (wanted ?? layers).length, unit: "layers", message: `Replacing layer ${layer} alone` });
      const key = `${set}.${layer}`;
      const result = cache.get(key) ?? (await measureSensitivity(reading, layer, this.specOf(set), call));
      cache.set(key, result);
      results.push(result);
      onLayer(result);
    }
    return results;
  }

  /** Both mixers of a layer head by head, on the teacher's hidden state. */
  async inside(layer: number, set: string, call: Call): Promise<LayerInside> {
    const reading = this.held();
    if (!this.layersOf(set).includes(layer)) throw new BadInputError(`Mixer set "${set}" has no mixer for layer ${layer}.`, "Choose a layer that the set holds.");
    const description = this.manifest.mixer_sets[set];
    if (description?.mixer !== "mamba2") throw new BadInputError(`"${set}" holds no Mamba-2 mixers.`, "Choose another set.");
    await this.prepareSet(set, call);
    return lookInside(this.device, reading, { layer, set, spec: this.specOf(set), config: description.config, architecture: this.manifest.architecture }, call);
  }

  /** The text of each token id by itself. */
  decode(tokens: readonly number[]): string[] {
    return tokens.map((token) => this.tokenizer.decode([token], { keepSpecial: true }));
  }

  async dispose(): Promise<void> {
    this.forget();
    await this.parts.dispose().catch(() => undefined); // a lost device cannot be released in order
    await this.device.dispose();
  }

  private forget(): void {
    this.reading?.dispose();
    this.reading = null;
    this.comparisons = new Map();
    this.distanceCache = new Map();
    this.sensitivityCache = new Map();
  }

  private layersOf(set: string): readonly number[] {
    const description = Object.hasOwn(this.manifest.mixer_sets, set) ? this.manifest.mixer_sets[set] : undefined;
    if (description && !description.draft) return description.layers;
    const known = this.info().sets.map(({ name }) => name);
    throw new BadInputError(`Family "${this.manifest.family}" has no mixer set "${set}".`, known.length > 0 ? `Choose one of: ${known.join(", ")}.` : "Choose another family.");
  }

  private specOf(set: string): string {
    return `${this.manifest.mixer_sets[set]?.mixer}:${set}`;
  }

  private held(): Reading {
    if (!this.reading) throw new BadInputError("No text was read yet.", "Give a text first.");
    return this.reading;
  }

  /** Throws HybridConfigError or BadInputError for layers that are not a hybrid of the teacher. */
  private checkHybrid(layers: readonly string[]): void {
    const config = customConfig(this.manifest, layers);
    if (draftOf(config.layers, this.manifest.mixer_sets)) throw new BadInputError("A draft is a model of its own, not a hybrid of the teacher.", "Choose another set.");
  }

  private async prepare(layers: readonly string[], call: Call): Promise<void> {
    for (const set of new Set(layers.map((spec) => parseLayerSpec(spec).set))) if (set !== null) await this.prepareSet(set, call);
  }
}

const brokenNumbers = (): RuntimeError => new RuntimeError("The model's predictions are not numbers: the device computes wrongly.");
