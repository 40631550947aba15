/**
 * `node scripts/bench/main.mjs speculative-gpu [family …]`: speculative decoding on a GPU without a browser, for machines that have only Node; see
 * node-webgpu.mjs for the package that it needs. The same runners and session as in the page, the drafts' steps both one by one and in one graph.
 * Options: `variant=`, `drafts=a,b`, `prompts=N`, `tokens=N`, `context=N`, `minutes=N` (a draft's prompts end when its share of them is used up, after one
 * at the earliest), `K=1,4,adaptive`, `steps=unrolled`. Prints its entries; they are merged into `results/speculative.json`, or written, draft by draft, to
 * the file that MAMBASCOPE_BENCH_OUT names.
 */
import type * as Ort from "onnxruntime-web/webgpu";
import type { HybridConfig } from "@/lib/hybrid/config";
import { hasFeatureDraft } from "@/lib/inference/speculative/features";
import { firstLayers } from "@/lib/inference/speculative/first-layers";
import { LookupDrafter } from "@/lib/inference/speculative/lookup";
import { ModelDrafter } from "@/lib/inference/speculative/model-drafter";
import { type SpeculativeOptions, SpeculativeSession } from "@/lib/inference/speculative/session";
import { shortlistOf } from "@/lib/inference/speculative/shortlist";
import { drain, summarise, type SweepRun } from "@/lib/inference/speculative/sweep";
import { type DraftChoice, type Drafted, MAX_DRAFTED } from "@/lib/inference/speculative/types";
import { WebGpuChain } from "@/lib/inference/webgpu-chain";
import { WebGpuRunner } from "@/lib/inference/webgpu-runner";
import { buildGraph } from "@/lib/onnx/build";
import { createExpander } from "@/lib/onnx/expand";
import type { GraphPlan } from "@/lib/onnx/plan";
import { buildUnrolled } from "@/lib/onnx/unroll";
import { hybridConfigOf } from "@/lib/weights/manifest";
import { say } from "../lib/console.mjs";
import { type Family, GREEDY, openFamily, presentDrafts, shippedDraft } from "./exactness-family";
import { Options } from "./options";
import { Collected, deliver, origin } from "./results";

const LENGTHS: readonly Drafted[] = [1, 2, 3, 4, 6, 8, "adaptive"];
const drafts: Readonly<Record<string, Readonly<Record<string, DraftChoice>>>> = {
  stories: { eagle2: shippedDraft("eagle2"), "first 3 layers": { kind: "layers", count: 3, shortlist: 0 }, lookup: { kind: "lookup" } },
  "smollm2-135m-instruct": { draft2: shippedDraft("draft2"), "draft2+lookup": shippedDraft("draft2", true), eagle2: shippedDraft("eagle2"), "eagle2+lookup": shippedDraft("eagle2", true), "draft2-attention": shippedDraft("draft2-attention"), lookup: { kind: "lookup" } },
};

const STEPS = ["unrolled", "stepwise"] as const;
type Steps = (typeof STEPS)[number];
type Amount = { readonly lengths: readonly Drafted[]; readonly steps: readonly Steps[]; readonly prompts: number; readonly tokens: number; readonly contextLength: number; readonly minutes: number; readonly gpu: string };
type Run = SweepRun & { readonly K: Drafted; readonly steps: Steps };

export async function main(given: string[], ort: typeof Ort, gpu: string): Promise<number> {
  const options = new Options(given, ["variant", "drafts", "prompts", "tokens", "context", "minutes", "K", "steps"]);
  const families = Object.keys(drafts).filter((family) => options.has(family) || !Object.keys(drafts).some((name) => options.has(name)));
  const amount: Amount = {
    prompts: options.number("prompts", 20),
    tokens: options.number("tokens", 48),
    contextLength: options.number("context", 1024),
    minutes: options.number("minutes", 2.5),
    gpu,
    lengths: chosen(LENGTHS, options.list("K")),
    steps: chosen(STEPS, options.list("steps")),
  };
  const from = await origin(`node scripts/bench/main.mjs speculative-gpu ${given.join(" ")}`.trim(), gpu);
  const collected = new Collected();
  const write = (): Promise<void> => deliver("speculative", collected.entries.map((entry) => ({ ...entry, ...from })));
  for (const name of families) {
    const family = openFamily(name);
    const known = Object.entries(presentDrafts(family.bundle.manifest, drafts[name] ?? {})).filter(([draft]) => options.list("drafts")?.includes(draft) ?? true);
    await new Bench(ort, family, options.text("variant") ?? "attn50", { ...amount, minutes: amount.minutes / families.length }, collected, write).all(known);
  }
  return 0;
}

class Bench {
  private readonly config: HybridConfig;
  private readonly inputs: readonly (readonly number[])[];

  constructor(
    private readonly ort: typeof Ort,
    private readonly family: Family,
    private readonly variant: string,
    private readonly amount: Amount,
    private readonly collected: Collected,
    private readonly write: () => Promise<void>,
  ) {
    this.config = hybridConfigOf(family.bundle.manifest, variant);
    // Spread over the kinds, whatever the number: every third prompt, then those between.
    const { inputs } = family;
    this.inputs = [0, 1, 2].flatMap((first) => inputs.filter((_, index) => index % 3 === first)).slice(0, amount.prompts);
  }

  async all(choices: readonly (readonly [string, DraftChoice])[]): Promise<void> {
    say(`── ${this.config.family} ${this.variant}: compiling`);
    const { runner: target } = await this.open(this.config, undefined, true);
    await target.warmUp();
    const session = new SpeculativeSession(target, new LookupDrafter());
    await session.measure();
    const ends = performance.now() + 60_000 * this.amount.minutes;
    for (const [index, [draft, choice]] of choices.entries()) {
      say(`── ${draft}`);
      const chain = await this.change(session, target, choice);
      const paths: readonly Steps[] = chain ? this.amount.steps : ["stepwise"];
      const { lengths } = this.amount;
      for (const steps of paths) for (const K of lengths) await this.speculate(session, 0, K, steps, 8); // compiles, and loads the graphs
      const until = performance.now() + Math.max(0, ends - performance.now()) / (choices.length - index);
      const runs: Run[] = [];
      let prompts = 0;
      for (const prompt of this.inputs.keys()) {
        if (prompts > 0 && performance.now() > until) break;
        const plainly = () => drain(session.plain(this.inputs[prompt] ?? [], this.options(this.amount.tokens)));
        let plain = await plainly();
        for (const K of lengths) {
          if (K === 4) plain = await plainly(); // in between, where the machine is as it is for the others
          for (const steps of paths) runs.push({ K, steps, plain, speculative: await this.speculate(session, prompt, K, steps, this.amount.tokens) });
        }
        prompts++;
      }
      for (const steps of paths) for (const K of lengths) this.add(draft, choice, runs.filter((run) => run.K === K && run.steps === steps), K, steps, prompts);
      if (chain) this.collected.add({ metric: "speculative.memory", value: chain.weightBytes, unit: "bytes", of: { ...this.of(draft), what: "graphs of several steps" } });
      await this.write();
      await session.drafter.dispose();
    }
    await target.dispose();
  }

  private add(draft: string, choice: DraftChoice, runs: readonly Run[], K: Drafted, steps: Steps, prompts: number): void {
    const summary = summarise(K, runs);
    const totals = runs.map(({ speculative }) => speculative.totals);
    const sum = (of: (total: (typeof totals)[number]) => number): number => totals.reduce((all, total) => all + of(total), 0);
    const cycles = Math.max(1, sum((total) => total.cycles));
    const different = runs.filter(({ plain, speculative }) => String(plain.tokenIds) !== String(speculative.tokenIds)).length;
    const of = { ...this.of(draft), K: String(K), ...(choice.kind === "lookup" ? {} : { draft_steps: steps }), prompts, tokens: this.amount.tokens };
    const parts = { draft_ms: sum(({ timings }) => timings.draftMs), verify_ms: sum(({ timings }) => timings.verifyMs), readback_ms: sum(({ timings }) => timings.readbackMs), other_ms: sum(({ timings }) => timings.otherMs), read_backs: sum(({ readBacks }) => readBacks) };
    const perCycle = Object.fromEntries(Object.entries(parts).map(([name, value]) => [`${name}_a_cycle`, rounded(value / cycles)]));
    this.collected.add({
      metric: "speculative.speedup",
      value: summary.speedup,
      unit: "x",
      of: { ...of, different, tokens_per_second: rounded(summary.tokensPerSecond), tokens_per_cycle: rounded(summary.tokensPerCycle), cost_ratio: rounded(summary.costRatio), ...perCycle },
      peer: { name: "plain decoding, tokens/s", value: rounded(summary.plainTokensPerSecond) },
    });
    this.collected.add({ metric: "speculative.acceptance", value: summary.acceptance, unit: "share of drafts", of });
  }

  private of(draft: string): Record<string, string> {
    return { family: this.config.family, variant: this.variant, draft, provider: "webgpu", gpu: this.amount.gpu, runtime: "Node" };
  }

  private speculate(session: SpeculativeSession, prompt: number, K: Drafted, steps: Steps, maxTokens: number) {
    return drain(session.run(this.inputs[prompt] ?? [], { ...this.options(maxTokens), K, chained: steps === "unrolled" }));
  }

  private options(maxTokens: number): Omit<SpeculativeOptions, "K"> {
    const { bundle, tokenizer } = this.family;
    const stopTokens = new Set(tokenizer.hasChatTemplate ? bundle.manifest.special_tokens.eos : []);
    return { sampling: GREEDY, seed: 1, maxTokens, stopTokens, decode: (ids) => tokenizer.decode(ids), probabilities: false };
  }

  private async open(config: HybridConfig, headTokens: Uint32Array | undefined, choices: boolean): Promise<{ runner: WebGpuRunner; plan: GraphPlan }> {
    const { bundle } = this.family;
    const { contextLength } = this.amount;
    const plan = buildGraph(bundle.manifest, config, { format: "quantised", provider: "webgpu", contextLength, rollback: true, headTokens, choices, hidden: choices && hasFeatureDraft(bundle.manifest) });
    const runner = await WebGpuRunner.create(this.ort, { plan, contextLength, allLogits: false, span: MAX_DRAFTED + 1, expand: createExpander((name) => bundle.stored(config, name)) });
    return { runner, plan };
  }

  /** Gives the session another draft; null if it is no model. */
  private async change(session: SpeculativeSession, target: WebGpuRunner, choice: DraftChoice): Promise<WebGpuChain | null> {
    if (choice.kind === "lookup") {
      session.drafter = new LookupDrafter(choice.longest, choice.shortest);
      return null;
    }
    const { bundle } = this.family;
    const { contextLength } = this.amount;
    const config = choice.kind === "layers" ? firstLayers(this.config, choice.count) : hybridConfigOf(bundle.manifest, choice.variant ?? "");
    const headTokens = await shortlistOf(bundle, choice.shortlist);
    const { runner, plan: single } = await this.open(config, headTokens, false);
    await runner.warmUp();
    const chain = new WebGpuChain(target, runner, {
      unroll: (steps) => {
        const plan = buildUnrolled(bundle.manifest, config, single, { format: "quantised", provider: "webgpu", contextLength, headTokens }, steps);
        return Promise.resolve({ plan, expand: createExpander((name) => bundle.stored(config, name)) });
      },
    });
    session.drafter = new ModelDrafter(runner, { tokens: headTokens, chain, features: target, lookup: choice.lookup });
    return chain;
  }
}

/** Those of `all` that a list names, or all. */
function chosen<T extends number | string>(all: readonly T[], list: readonly string[] | undefined): readonly T[] {
  return list === undefined ? all : all.filter((one) => list.includes(String(one)));
}

const rounded = (value: number): number => Number(value.toPrecision(4));
