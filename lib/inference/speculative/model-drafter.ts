/**
 * Drafts by a small model. Its own recurrent states are taken back by replay too. A feature draft (EAGLE, arXiv 2401.15077) reads the target's hidden states
 * with each token that the target has read, and goes on from its own; what it read with its own and turned out right stays so. With `lookup` it copies
 * where the text repeats itself (names, code, quotations of the prompt), in ways that a small model does not remember.
 */
import { Context } from "../context";
import { Random } from "../random";
import type { Chain, ChainedCycle, RollbackRunner } from "../runner";
import { best } from "../sampler";
import type { Draft } from "./acceptance";
import type { Drafter, DrafterMemory, DraftRequest } from "./drafter";
import { type FeatureSource, ownFeature, targetFeatures } from "./features";
import { copyOf } from "./lookup";
import { denseDistribution, drawFrom, penalised, probabilityOf } from "./probability";
import { Shortlist } from "./shortlist";

export type ModelDrafterOptions = {
  /** Tokens that the runner's head has logits of, in its order; left out: the whole vocabulary. */
  readonly tokens?: Uint32Array | undefined;
  /** Of this runner with the target's. */
  readonly chain?: Chain | null;
  /** The target, if the runner is a feature draft's. */
  readonly features?: FeatureSource;
  /** Copies where the last tokens occurred before; the model is asked elsewhere. */
  readonly lookup?: boolean | undefined;
};

export class ModelDrafter implements Drafter {
  readonly stepwise = true;
  private readonly context: Context<RollbackRunner>;
  /** Read tentatively, behind those that the context holds. */
  private guessed: number[] = [];
  private random = new Random(0);

  private readonly shortlist: Shortlist | null;
  /** Of unread tokens from a position on, if the runner is a feature draft's. */
  private readonly features: ((position: number, count: number) => Float32Array) | undefined;
  readonly chain: Chain | null;
  readonly copy: Drafter["copy"];

  constructor(
    private readonly runner: RollbackRunner,
    { tokens, chain = null, features, lookup = false }: ModelDrafterOptions = {},
  ) {
    if (runner.takesFeatures && !features) throw new Error("A feature draft needs its target.");
    this.features = runner.takesFeatures && features ? (position, count) => targetFeatures(features, position, count) : undefined;
    this.context = new Context(runner, this.features);
    this.shortlist = tokens ? new Shortlist(tokens) : null;
    this.chain = chain;
    this.copy = lookup ? copyOf : undefined;
  }

  get memory(): DrafterMemory {
    const { runner } = this;
    const { kvBytes, weightBytes } = runner.memory();
    return { ...runner.rollbackMemory(), kvBytes, featureBytes: runner.hiddenStates?.reservedBytes ?? 0, weightBytes: weightBytes + (this.chain?.weightBytes ?? 0) };
  }

  async begin(prompt: readonly number[], seed: number, { signal, onProgress }: Parameters<Drafter["begin"]>[2]): Promise<void> {
    this.random = new Random(seed);
    this.settle([]);
    if (prompt.length >= this.runner.contextLength) return;
    await this.context.prefill(prompt, { chunk: this.runner.chunk, ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) });
  }

  async draft(tokens: readonly number[], { count, sampling, goOn }: DraftRequest): Promise<Draft[]> {
    const { runner, context } = this;
    const room = Math.min(count, runner.contextLength - tokens.length);
    if (room <= 0) return [];
    let news = await this.unread(tokens, room);
    let features = this.features?.(context.held.length, news.length);
    const drafts: Draft[] = [];
    for (;;) {
      const logits = await context.readTentatively(news, { rows: "last", more: true, features });
      this.guessed.push(...news);
      const draft = this.choose(logits, [...tokens, ...drafts.map(({ token }) => token)], sampling);
      drafts.push(draft);
      news = [draft.token];
      if (drafts.length === room || !goOn(drafts)) break;
      if (this.features) features = ownFeature(runner);
    }
    return drafts;
  }

  async draftAndVerify(tokens: readonly number[], count: number, logits: boolean): Promise<ChainedCycle | null> {
    if (!this.chain || this.runner.contextLength - tokens.length < count) return null;
    const news = await this.unread(tokens, count);
    const features = this.features?.(this.context.held.length, news.length);
    const cycle = await this.chain.cycle(news, features ?? null, count, logits);
    this.guessed = [...news, ...cycle.drafts.slice(0, -1)];
    return cycle;
  }

  clear(): void {
    this.guessed = [];
    this.context.clear();
  }

  /** The tokens that are to be read before `count` drafts. The span has room for what the last cycle gave and the drafts but the last; more is read for good. */
  private async unread(tokens: readonly number[], count: number): Promise<number[]> {
    const { runner, context } = this;
    this.settle(tokens);
    let news = tokens.slice(context.held.length);
    const most = runner.span - count + 1;
    while (news.length > most) {
      const part = news.slice(0, Math.min(runner.chunk, news.length - 1));
      await context.read(part);
      news = news.slice(part.length);
    }
    return news;
  }

  private choose(logits: Float32Array, tokens: readonly number[], sampling: DraftRequest["sampling"]): Draft {
    const { shortlist } = this;
    const context = shortlist ? shortlist.columnsOf(tokens) : tokens;
    const tokenOf = (column: number): number => shortlist?.token(column) ?? column;
    if (sampling.temperature === 0) {
      const column = best(penalised(logits, context, sampling));
      return { token: tokenOf(column), q: probabilityOf(logits, column), distribution: null };
    }
    const weights = denseDistribution(logits, context, sampling);
    const column = drawFrom(weights, 1, this.random);
    return { token: tokenOf(column), q: weights[column]!, distribution: shortlist?.spread(weights) ?? weights };
  }

  /**
   * Keeps those of the tentative tokens that turned out to be so, but for the last token, which the next drafts begin from: where fewer drafts were
   * verified than made, the draft may have read it already.
   */
  private settle(tokens: readonly number[]): void {
    const { context, guessed, runner } = this;
    if (runner.tentative === 0) return;
    const most = tokens.length - 1 - context.held.length;
    let right = 0;
    while (right < Math.min(guessed.length, most) && guessed[right] === tokens[context.held.length + right]) right++;
    context.keep(guessed.splice(0).slice(0, right));
  }

  async dispose(): Promise<void> {
    try {
      await this.chain?.dispose();
    } finally {
      await this.runner.dispose();
    }
  }
}
