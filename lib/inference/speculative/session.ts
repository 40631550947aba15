/** Speculative decoding: a target with state that can be taken back, and what drafts for it. */
import { Context } from "../context";
import { ContextTooLongError } from "../errors";
import { Random } from "../random";
import type { RollbackRunner } from "../runner";
import { Sampler, type SamplingOptions } from "../sampler";
import { Detokeniser } from "../tokenizer";
import { turn } from "../turn";
import { decide, decideByChoices, type Draft, type Verdict } from "./acceptance";
import { AdaptiveLength } from "./adaptive";
import { Costs } from "./costs";
import type { Drafter } from "./drafter";
import { CHAINED_LENGTHS, type DraftLength, fixedLength } from "./length";
import { certain } from "./lookup";
import { Statistics } from "./statistics";
import { type Cycle, type CycleTimings, type Drafted, type DraftToken, type FinishReason, MAX_DRAFTED, type PlainToken, type TaggedToken, type Totals } from "./types";

export type AnswerOptions = {
  readonly sampling: SamplingOptions;
  readonly seed: number;
  readonly maxTokens: number;
  /** Tokens that end the answer; they are not part of it. */
  readonly stopTokens: ReadonlySet<number>;
  readonly decode: (tokens: readonly number[]) => string;
  readonly signal?: AbortSignal;
  readonly onPrefill?: (done: number, total: number) => void;
};

export type SpeculativeOptions = AnswerOptions & {
  readonly K: Drafted;
  /** Tell p of each draft in greedy mode. */
  readonly probabilities: boolean;
  /** Greedy drafts and the target's pass over them in one submission, where the device can (the default), or step by step. */
  readonly chained?: boolean;
  /** Waited for before each cycle (steps, slow motion); its time does not count. */
  readonly gate?: () => Promise<void>;
};

/** What both ways of decoding end with. */
export type Answered = {
  readonly text: string;
  readonly tokenIds: number[];
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly seed: number;
};
export type SpeculativeAnswered = Answered & { readonly totals: Totals };
export type RunEvent = { readonly first: PlainToken } | { readonly cycle: Cycle };

/** Seeds of the draft's draws and of the acceptance: independent of each other. */
const DRAFT_SEED = 0x5bd1e995;

export class SpeculativeSession {
  private readonly costs = new Costs();
  /** Of whole cycles submitted at once, by the number of drafts. */
  private chainCosts = new Costs();
  private readonly context: Context<RollbackRunner>;
  /** What it learns of a draft holds for the next answers too. */
  private adaptive = new AdaptiveLength(this.costs, this.chainCosts);
  private current: Drafter;

  constructor(
    readonly runner: RollbackRunner,
    drafter: Drafter,
  ) {
    this.current = drafter;
    if (runner.span < MAX_DRAFTED + 1) throw new Error(`The target can take back ${runner.span} tokens, not ${MAX_DRAFTED + 1}.`);
    this.context = new Context(runner);
  }

  get drafter(): Drafter {
    return this.current;
  }

  set drafter(drafter: Drafter) {
    this.current = drafter;
    this.costs.forgetDrafts();
    this.chainCosts = new Costs();
    this.adaptive = new AdaptiveLength(this.costs, this.chainCosts);
  }

  /** Measures what passes of some lengths take, for adaptive lengths to begin with, and leaves the empty state. In turns, so that a slow moment is one for all. */
  async measure(): Promise<void> {
    const fastest = new Map([1, 2, 3, 5, 9].map((tokens) => [tokens, Infinity]));
    for (let round = 0; round < 4; round++) {
      for (const [tokens, known] of fastest) {
        await turn();
        const began = performance.now();
        await this.runner.read(new Array<number>(tokens).fill(1), { rows: "all", more: false });
        fastest.set(tokens, Math.min(known, performance.now() - began));
        this.runner.keep(1);
      }
    }
    for (const [tokens, milliseconds] of fastest) this.costs.observeVerify(tokens, milliseconds);
    this.context.clear();
    this.adaptive = new AdaptiveLength(this.costs, this.chainCosts);
  }

  /** Loads, compiles and measures what chained cycles of K drafts need, if that was not done yet: the state is then empty. */
  private async prepareChain(K: Drafted, signal: AbortSignal | undefined): Promise<void> {
    const { drafter } = this;
    const { chain } = drafter;
    const missing = (K === "adaptive" ? CHAINED_LENGTHS : [K]).filter((length) => !chain?.has(length));
    if (!chain || missing.length === 0) return;
    for (const length of missing) {
      await turn();
      if (signal?.aborted) return;
      await chain.prepare(length);
      const times: number[] = [];
      for (let round = 0; round < 3; round++) {
        this.context.clear();
        drafter.clear?.();
        const began = performance.now();
        await drafter.draftAndVerify?.([1], length, false);
        times.push(performance.now() - began);
      }
      this.chainCosts.observeVerify(length, Math.min(...times));
    }
    this.context.clear();
    drafter.clear?.();
  }

  /** Continues `prompt`, one token a pass: the baseline. Ends as `run` does. */
  async *plain(prompt: readonly number[], options: AnswerOptions): AsyncGenerator<PlainToken, Answered, void> {
    const answer = new Answer(this.runner, prompt, options);
    const sampler = new Sampler(options.sampling, options.seed);
    let logits = await this.prefill(answer, prompt, options);
    while (logits) {
      const { token } = sampler.draw(logits, this.context.held);
      const told = answer.push(token);
      if (!told) break;
      yield told;
      if (answer.finished) break;
      await turn();
      if (answer.cancelled()) break;
      logits = await this.context.read([token]);
    }
    return answer.end();
  }

  /**
   * Continues `prompt` by cycles of drafting, verifying and deciding. Greedy, the tokens are those of `plain`; drawn, they are distributed as its
   * are. An aborted signal ends it between two passes with what there is; the state stays usable. Throws ContextTooLongError.
   */
  async *run(prompt: readonly number[], options: SpeculativeOptions): AsyncGenerator<RunEvent, SpeculativeAnswered, void> {
    const { sampling, seed, signal, K, gate } = options;
    const answer = new Answer(this.runner, prompt, options);
    const statistics = new Statistics();
    const random = new Random(seed);
    const length = K === "adaptive" ? this.adaptive : fixedLength(K);
    const finish = (): SpeculativeAnswered => {
      const ended = answer.end();
      return { ...ended, totals: statistics.totals(ended.tokenIds.length, ended.decodeMs) };
    };

    const chained = options.chained !== false && sampling.temperature === 0 && sampling.repetitionPenalty === 1 && Boolean(this.drafter.chain);
    if (chained) await this.prepareChain(K, signal);
    const logits = await this.prefill(answer, prompt, options, true);
    if (!logits) return finish();
    const { token: firstToken } = decide([], () => logits, this.context.held, { sampling, random, probabilities: false });
    const first = answer.push(firstToken);
    if (first) yield { first };
    for (let index = 0; !answer.finished; index++) {
      if (gate) await answer.pause(gate);
      await turn();
      if (answer.cancelled()) break;
      const cycle = (chained ? await this.chainedCycle(index, answer, length, random, options) : null) ?? (await this.cycle(index, answer, length, random, options));
      if (!cycle || signal?.aborted) answer.cancelled();
      if (!cycle) break;
      statistics.add(cycle);
      yield { cycle };
    }
    return finish();
  }

  private async cycle(
    index: number,
    answer: Answer,
    length: DraftLength,
    random: Random,
    { sampling, probabilities, signal, K: wanted }: SpeculativeOptions,
  ): Promise<Cycle | null> {
    const { runner, context, drafter } = this;
    const startMs = answer.elapsed();
    const began = performance.now();
    const tokens = answer.all();
    const copied = certain(drafter.copy?.(tokens, Math.min(length.most, answer.remaining - 1)));
    const { match } = copied;
    const K = match > 0 ? copied.drafts.length : Math.min(length.next(), answer.remaining - 1);
    const drafted = match > 0 ? copied.drafts : K > 0 ? await drafter.draft(tokens, { count: K, sampling, goOn: (drafts) => length.goOn(drafts) }) : [];
    const drafts = drafted.slice(0, length.cut(drafted, match));
    const draftedAt = performance.now();
    await turn();
    if (signal?.aborted) return null;

    const verifyBegan = performance.now();
    const pass = [tokens.at(-1)!, ...drafts.map(({ token }) => token)];
    const logits = await context.readTentatively(pass, { rows: "all", more: false });
    const verifiedAt = performance.now();
    const width = logits.length / pass.length;
    const verdict = decide(drafts, (row) => logits.subarray(row * width, (row + 1) * width), tokens, { sampling, random, probabilities });
    const readbackMs = runner.readbackMs;
    return this.settle({ index, K: wanted === "adaptive" ? drafted.length : K, answer, drafts, verdict, pass, readBacks: (drafter.stepwise && match === 0 ? drafted.length : 0) + 1, startMs }, verifiedAt, (otherMs) => {
      const timings = { draftMs: draftedAt - began, verifyMs: verifiedAt - verifyBegan - readbackMs, readbackMs, otherMs: verifyBegan - draftedAt + otherMs };
      length.observe({ asked: Math.max(0, K), drafts: drafted, verified: drafts.length, accepted: verdict.accepted, match, timings });
      return timings;
    });
  }

  /** A cycle whose drafts go to the target on the device; null if this one cannot. What is drafted beyond the answer's end is not verified. */
  private async chainedCycle(index: number, answer: Answer, length: DraftLength, random: Random, options: SpeculativeOptions): Promise<Cycle | null> {
    const { drafter, runner } = this;
    const startMs = answer.elapsed();
    const tokens = answer.all();
    if (answer.remaining > 1 && drafter.copy?.(tokens, 1).match) return null;
    const K = length.ahead();
    if (K === 0) return this.cycle(index, answer, { ...fixedLength(0), observe: (report) => length.observe(report) }, random, options);
    if (tokens.length + K > runner.contextLength || !drafter.chain?.has(K)) return null;
    const chained = (await drafter.draftAndVerify?.(tokens, K, options.probabilities)) ?? null;
    if (!chained) return null;
    const readAt = performance.now();
    const { logits } = chained;
    const drafts = chained.drafts.slice(0, answer.remaining - 1).map((token, place): Draft => ({ token, q: chained.probabilities[place] ?? 0, distribution: null }));
    const width = (logits?.length ?? 0) / (K + 1);
    const verdict = decideByChoices(drafts, chained.choices, logits && ((row) => logits.subarray(row * width, (row + 1) * width)));
    return this.settle({ index, K, answer, drafts, verdict, pass: [tokens.at(-1)!, ...chained.drafts], readBacks: 1, startMs }, readAt, (otherMs) => {
      const timings = { ...chained.timings, otherMs };
      length.observeChained({ asked: K, drafts, verified: drafts.length, accepted: verdict.accepted, timings });
      return timings;
    });
  }

  /** Holds what was accepted, adds it to the answer, and tells the cycle. `timed` is given the time since `since`. */
  private settle(
    { index, K, answer, drafts, verdict, pass, readBacks, startMs }: Pick<Cycle, "index" | "K" | "readBacks" | "startMs"> & { answer: Answer; drafts: readonly Draft[]; verdict: Verdict; pass: readonly number[] },
    since: number,
    timed: (otherMs: number) => CycleTimings,
  ): Cycle {
    const { accepted } = verdict;
    this.context.keep(pass.slice(0, accepted + 1));
    const added: TaggedToken[] = [];
    for (const [place, token] of [...drafts.slice(0, accepted).map((draft) => draft.token), verdict.token].entries()) {
      const told = answer.push(token);
      if (!told) break;
      added.push({ token, text: told.text, tag: place < accepted ? "accepted" : accepted === drafts.length ? "bonus" : "corrected" });
      if (answer.finished) break;
    }
    const timings = timed(performance.now() - since);
    const told = drafts.map(({ token, q }, place): DraftToken => {
      const p = verdict.draftProbabilities[place];
      return { token, text: answer.decode(token), q, p: p === undefined || Number.isNaN(p) ? null : p, accepted: place < accepted ? true : place === accepted ? false : null };
    });
    const kind = accepted === drafts.length ? "bonus" : "corrected";
    const decision = { kind, token: verdict.token, text: answer.decode(verdict.token), p: verdict.probability } as const;
    return { index, K, drafts: told, accepted, decision, tokens: added, timings, readBacks, startMs };
  }

  /** Reads the prompt; null if that was cancelled. */
  private async prefill(answer: Answer, prompt: readonly number[], { signal, onPrefill, seed }: AnswerOptions, drafting = false): Promise<Float32Array | null> {
    const { runner, context } = this;
    if (prompt.length >= runner.contextLength) throw new ContextTooLongError(prompt.length, runner.contextLength);
    if (runner.tentative > 0) context.keep([]); // a run that failed in mid cycle
    const common = signal ? { signal } : {};
    try {
      const { logits, reused } = await context.prefill(prompt, { chunk: runner.chunk, ...common, ...(onPrefill ? { onProgress: onPrefill } : {}) });
      if (drafting) await this.drafter.begin(prompt, (seed ^ DRAFT_SEED) >>> 0, common);
      answer.begin(reused);
      return logits;
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
      answer.cancelled();
      return null;
    }
  }
}

/** An answer as it grows: its tokens, text, clock and end. */
class Answer {
  finished: FinishReason | null = null;
  private readonly started = performance.now();
  private prefilled = this.started;
  private last = this.started;
  private paused = 0;
  private reusedTokens = 0;
  private text = "";
  private readonly tokenIds: number[] = [];
  private readonly detokeniser: Detokeniser;
  private readonly limit: number;

  constructor(
    { contextLength }: RollbackRunner,
    private readonly prompt: readonly number[],
    private readonly options: AnswerOptions,
  ) {
    this.limit = Math.min(options.maxTokens, contextLength - prompt.length);
    this.detokeniser = new Detokeniser(options.decode);
  }

  begin(reusedTokens: number): void {
    this.reusedTokens = reusedTokens;
    this.prefilled = this.last = performance.now();
  }

  /** How many tokens may still come. */
  get remaining(): number {
    return this.limit - this.tokenIds.length;
  }

  all(): number[] {
    return [...this.prompt, ...this.tokenIds];
  }

  decode(token: number): string {
    return this.options.decode([token]);
  }

  /** Adds a token; null if it ends the answer and is no part of it. */
  push(token: number): PlainToken | null {
    if (this.options.stopTokens.has(token)) {
      this.finished = "stop";
      return null;
    }
    this.tokenIds.push(token);
    const text = this.detokeniser.push(token);
    this.text += text;
    if (this.remaining === 0) this.finished = this.tokenIds.length === this.options.maxTokens ? "length" : "context";
    this.last = performance.now();
    return { token, text, index: this.tokenIds.length, milliseconds: this.elapsed() };
  }

  elapsed(): number {
    return performance.now() - this.prefilled - this.paused;
  }

  async pause(gate: () => Promise<void>): Promise<void> {
    const began = performance.now();
    await gate();
    this.paused += performance.now() - began;
  }

  /** Whether the answer was cancelled, which ends it. */
  cancelled(): boolean {
    if (!this.options.signal?.aborted) return false;
    this.finished ??= "cancelled";
    return true;
  }

  end(): Answered {
    return {
      text: this.text + this.detokeniser.flush(),
      tokenIds: this.tokenIds,
      finishReason: this.finished ?? "cancelled",
      promptTokens: this.prompt.length,
      reusedTokens: this.reusedTokens,
      prefillMs: this.prefilled - this.started,
      decodeMs: Math.max(0, this.last - this.prefilled - this.paused),
      seed: this.options.seed,
    };
  }
}
