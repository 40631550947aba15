/** Loading a target and what drafts for it. */
import { accountFor } from "@/lib/hybrid/accounting";
import { type HybridConfig, isAttentionLayer, needsFeatures } from "@/lib/hybrid/config";
import { formatPattern } from "@/lib/hybrid/pattern";
import type { LoadedBundle } from "@/lib/weights/loader";
import { BadInputError, UnsupportedError } from "../errors";
import { chooseProvider, type LoadHooks } from "../model";
import { openBundle, openChain, openRunner, type RunnerOptions } from "../open-runner";
import type { RollbackRunner } from "../runner";
import type { Runtimes } from "../runtime";
import { type ChatMessage, Tokenizer } from "../tokenizer";
import type { Drafter } from "./drafter";
import { hasFeatureDraft } from "./features";
import { firstLayers } from "./first-layers";
import { LookupDrafter } from "./lookup";
import { ModelDrafter } from "./model-drafter";
import { shortlistOf } from "./shortlist";
import { SpeculativeSession } from "./session";
import { type DraftChoice, MAX_DRAFTED, type SpeculativeInfo, type SpeculativeMemory } from "./types";

export type SpeculativeLoadRequest = {
  readonly family: string;
  readonly variant?: string | undefined;
  readonly pattern?: string | undefined;
  readonly draft: DraftChoice;
  readonly provider: "auto" | "webgpu" | "wasm";
  readonly threads?: number | undefined;
  readonly contextLength?: number | undefined;
};

export type SpeculativeHooks = LoadHooks & {
  /** The address of a family's manifest. */
  readonly manifestUrl: (family: string) => string;
};

/** Positions that a session has room for unless told otherwise: the rotary tables of both models take memory. */
const CONTEXT = 2048;
const SPAN = MAX_DRAFTED + 1;

type Input = { readonly messages: readonly ChatMessage[] } | { readonly prompt: string } | { readonly tokens: readonly number[] };
type DraftDescription = { readonly choice: DraftChoice; readonly title: string; readonly parameters: number; readonly warnings: readonly string[] };
type Loaded = { readonly drafter: Drafter; readonly description: DraftDescription };

/** A target with a draft, as the worker holds them. */
export class SpeculativeModel {
  constructor(
    readonly session: SpeculativeSession,
    private readonly tokenizer: Tokenizer,
    private readonly bundle: LoadedBundle,
    private readonly options: RunnerOptions,
    private readonly hooks: SpeculativeHooks,
    private readonly target: Omit<SpeculativeInfo, "draft" | "draftTitle" | "draftParameters" | "memory">,
    private description: DraftDescription,
  ) {}

  info(): SpeculativeInfo {
    const { choice, title, parameters, warnings } = this.description;
    return { ...this.target, warnings: [...this.target.warnings, ...warnings], draft: choice, draftTitle: title, draftParameters: parameters, memory: this.memory() };
  }

  memory(): SpeculativeMemory {
    const { runner, drafter } = this.session;
    const { kvBytes, weightBytes, heapBytes } = runner.memory();
    const draft = drafter.memory;
    return {
      ...runner.rollbackMemory(),
      draftCheckpointBytes: draft.checkpointBytes,
      draftInputBytes: draft.inputBytes,
      kvBytes: kvBytes + draft.kvBytes,
      featureBytes: (runner.hiddenStates?.reservedBytes ?? 0) + draft.featureBytes,
      weightBytes,
      draftWeightBytes: draft.weightBytes,
      heapBytes,
    };
  }

  /** Another draft in place of the one held. The one held stays if it cannot be loaded. */
  async changeDraft(choice: DraftChoice, hooks: Pick<SpeculativeHooks, "signal" | "onProgress">): Promise<void> {
    const { drafter, description } = await loadDrafter(choice, this.bundle, this.tokenizer, this.session.runner, this.options, { ...this.hooks, ...hooks });
    await this.session.drafter.dispose();
    this.session.drafter = drafter;
    this.description = description;
  }

  get stopTokens(): readonly number[] {
    return this.bundle.manifest.special_tokens.eos;
  }

  tokenise(text: string): number[] {
    return this.tokenizer.encode(text);
  }

  decode(tokens: readonly number[]): string {
    return this.tokenizer.decode(tokens);
  }

  /** The prompt's token ids; an empty text stands for the model's first token. */
  promptTokens(input: Input): number[] {
    if ("messages" in input) return this.tokenizer.encodeChat(input.messages);
    const tokens = "tokens" in input ? [...input.tokens] : this.tokenizer.encode(input.prompt);
    const unknown = tokens.find((token) => token >= this.target.vocabularySize);
    if (unknown !== undefined) throw new BadInputError(`Token ${unknown} is not in the vocabulary of ${this.target.vocabularySize}.`);
    if (tokens.length > 0) return tokens;
    const { bos, eos } = this.bundle.manifest.special_tokens;
    const start = bos ?? eos[0];
    if (start === undefined) throw new BadInputError("The prompt is empty.", "Write something for the model to continue.");
    return [start];
  }

  async dispose(): Promise<void> {
    await this.session.drafter.dispose();
    await this.session.runner.dispose();
  }
}

/** Loads both. Throws what `loadModel` throws, and BadInputError or UnsupportedError for a draft that does not fit the target. */
export async function loadSpeculative(request: SpeculativeLoadRequest, given: SpeculativeHooks): Promise<SpeculativeModel> {
  const started = performance.now();
  const hooks = { ...given, runtimes: sharedRuntimes(given.runtimes) };
  const { provider, reason, precision } = chooseProvider({ provider: request.provider, precision: "auto" }, hooks.providers);
  hooks.onProgress?.({ phase: "manifest", message: "Reading the manifest", done: 0, total: 0, unit: "steps" });
  const bundle = await openBundle({ ...request, manifestUrl: hooks.manifestUrl(request.family) }, hooks, (layers, { mixer_sets: sets }) => {
    if (needsFeatures(layers, sets)) throw new UnsupportedError("This draft reads the hidden states of the model that it drafts for, and cannot be the target.", "Choose another target, and this as its draft.");
  });
  const { manifest, config } = bundle;
  const { architecture } = config;
  const contextLength = Math.min(request.contextLength ?? CONTEXT, architecture.max_position_embeddings);
  const tokenizer = await tokenizerOf(bundle);
  const threads = provider === "wasm" ? Math.min(request.threads ?? hooks.providers.wasm.threads, hooks.providers.wasm.threads) : 1;
  const options: RunnerOptions = { provider, precision, contextLength, threads, span: SPAN };
  const { runner } = await openRunner(bundle, config, { ...options, choices: provider === "webgpu", hidden: hasFeatureDraft(manifest) }, hooks);
  let loaded: Loaded | null = null;
  try {
    await warmUp(runner, hooks, "Warming up");
    loaded = await loadDrafter(request.draft, bundle, tokenizer, runner, options, hooks);
    const session = new SpeculativeSession(runner, loaded.drafter);
    hooks.onProgress?.({ phase: "warmup", message: "Measuring passes", done: 0, total: 1, unit: "steps" });
    await session.measure();
    hooks.onProgress?.({ phase: "warmup", message: "Ready", done: 1, total: 1, unit: "steps" });
    return new SpeculativeModel(
      session,
      tokenizer,
      bundle,
      options,
      hooks,
      {
        family: manifest.family,
        title: manifest.title,
        variant: request.variant ?? null,
        pattern: formatPattern(config.layers),
        layers: [...config.layers],
        attentionLayers: config.layers.filter(isAttentionLayer).length,
        parameters: accountFor(config, manifest.mixer_sets).parameters,
        provider,
        providerReason: reason,
        threads,
        contextLength,
        vocabularySize: architecture.vocab_size,
        chatTemplate: tokenizer.hasChatTemplate,
        warnings: sentences(bundle),
        loadMs: performance.now() - started,
      },
      loaded.description,
    );
  } catch (error) {
    await loaded?.drafter.dispose().catch(() => undefined); // a lost device cannot be released in order
    await runner.dispose().catch(() => undefined);
    throw error;
  }
}

async function loadDrafter(
  choice: DraftChoice,
  target: LoadedBundle,
  tokenizer: Tokenizer,
  targetRunner: RollbackRunner,
  common: RunnerOptions,
  hooks: SpeculativeHooks,
): Promise<Loaded> {
  if (choice.kind === "lookup") {
    const { longest, shortest } = choice;
    if ((shortest ?? 1) > (longest ?? 16)) throw new BadInputError(`No suffix is at most ${longest} and at least ${shortest} tokens long.`);
    return { drafter: new LookupDrafter(longest, shortest), description: { choice, title: "Prompt lookup", parameters: 0, warnings: [] } };
  }
  const { bundle, config } = choice.kind === "layers" ? { bundle: target, config: firstLayers(target.config, choice.count) } : await draftBundle(choice, target, tokenizer, hooks);
  const { manifest } = bundle;
  const contextLength = Math.min(common.contextLength, config.architecture.max_position_embeddings);
  const headTokens = await shortlistOf(bundle, choice.shortlist);
  const options = { ...common, contextLength, headTokens };
  const { runner, plan } = await openRunner(bundle, config, options, hooks);
  await warmUp(runner, hooks, "Warming up the draft").catch(async (error: unknown) => {
    await runner.dispose().catch(() => undefined);
    throw error;
  });
  const sets = manifest.mixer_sets;
  const chain = openChain(targetRunner, { bundle, config, options, plan, runner });
  const drafter = new ModelDrafter(runner, { tokens: headTokens, chain, features: targetRunner, lookup: choice.lookup });
  const title = `${draftTitle(choice, config, manifest.title, needsFeatures(config, sets))}${choice.lookup ? ", and prompt lookup" : ""}`;
  return { drafter, description: { choice, title, parameters: accountFor(config, sets).parameters, warnings: bundle === target ? [] : sentences(bundle) } };
}

async function draftBundle(
  choice: DraftChoice & { kind: "model" },
  target: LoadedBundle,
  tokenizer: Tokenizer,
  hooks: SpeculativeHooks,
): Promise<{ bundle: LoadedBundle; config: HybridConfig }> {
  const family = choice.family ?? target.manifest.family;
  const bundle = await openBundle({ variant: choice.variant, pattern: choice.pattern, manifestUrl: hooks.manifestUrl(family) }, hooks, (layers, { title, mixer_sets: sets }) => {
    if (family !== target.manifest.family && needsFeatures(layers, sets)) {
      throw new UnsupportedError(`This draft of "${title}" reads the hidden states of that family's models.`, `Choose a target of "${title}", or a draft without features.`);
    }
  });
  if (family !== target.manifest.family) {
    const probe = "The quick brown fox: 12 + 34 = 46, naïve café, 你好!\n\tfor i in range(3):";
    const same = bundle.config.architecture.vocab_size === target.config.architecture.vocab_size && String((await tokenizerOf(bundle)).encode(probe)) === String(tokenizer.encode(probe));
    if (!same) throw new UnsupportedError(`"${bundle.manifest.title}" has another tokenizer than "${target.manifest.title}".`, "Choose a draft with the target's tokenizer.");
  }
  return { bundle, config: bundle.config };
}

function draftTitle(choice: DraftChoice, { layers }: HybridConfig, title: string, features: boolean): string {
  const some = (count: number, kind = ""): string => `${count} ${kind}${count === 1 ? "layer" : "layers"}`;
  if (choice.kind === "layers") return `The target's first ${some(layers.length)}`;
  const attention = layers.filter(isAttentionLayer).length;
  const kind = attention === 0 ? "Mamba-2" : attention === layers.length ? "attention" : "hybrid";
  return features ? `${title}: ${some(layers.length, `${kind} `)} on the target's features (EAGLE)` : `${title}: ${kind}, ${some(layers.length)}`;
}

async function warmUp(runner: RollbackRunner, { signal, onProgress }: SpeculativeHooks, message: string): Promise<void> {
  signal?.throwIfAborted();
  onProgress?.({ phase: "warmup", message, done: 0, total: 1, unit: "steps" });
  await runner.warmUp();
  const read = (tokens: number[], more: boolean): Promise<unknown> => {
    const features = runner.takesFeatures ? new Float32Array(tokens.length * (runner.hiddenStates?.width ?? 0)) : undefined;
    return runner.read(tokens, { rows: "all", more, features });
  };
  await read([0], true);
  await read([0], true);
  runner.keep(1);
  await read([0, 0], false);
  runner.reset();
}

async function tokenizerOf(bundle: LoadedBundle): Promise<Tokenizer> {
  const { tokenizer, config } = await bundle.tokenizer();
  return new Tokenizer(tokenizer as object, config as object);
}

const sentences = ({ warnings }: LoadedBundle): string[] => warnings.map(({ message, action }) => `${message} ${action}`);

/** Both models in one heap, on one set of threads. */
function sharedRuntimes({ wasm, webgpu }: Runtimes): Runtimes {
  let started: ReturnType<Runtimes["wasm"]> | null = null;
  return { wasm: (threads) => (started ??= wasm(threads)), webgpu };
}
