/**
 * `npm run bench:speculative`: speculative decoding in Chromium on this machine's CPU: whether it gives plain decoding's tokens, how often drafts are
 * accepted, what it saves, what it keeps in memory.
 * Options: sections of `exact`, `speed` (with memory); families; `webgpu` for Chromium's software WebGPU, whose tokens count but not its time;
 * `draft=NAME` for one of the drafts; `prompts=N` and `tokens=N` to do less; `fresh` to forget what was found before. What earlier runs found of other parts is written too.
 */
import { say } from "../lib/console.mjs";
import { DEFAULT_SHORTLIST } from "@/lib/inference/speculative/shortlist";
import type { DraftChoice, Drafted, SpeculativeMemory, SweepPoint, SweepResult, SweepSummary } from "@/lib/inference/speculative/types";
import { bundleOf, presentDrafts, shippedDraft } from "./exactness-family";
import { openLab, type Browser, type Lab } from "./harness";
import { Kept } from "./kept";
import { chatPrompts, type KindedPrompt, storyPrompts } from "./prompts";
import { Options } from "./options";
import { Collected, quietLoad, type ResultEntry, writeResults } from "./results";

type Target = { readonly family: string; readonly chat: boolean; readonly variants: readonly string[]; readonly drafts: Readonly<Record<string, DraftChoice>> };
type Found = { readonly memory: SpeculativeMemory; readonly load_average: number; readonly prompts: number; readonly tokens: number; readonly threads: number } & SweepResult;

const RATIOS = ["teacher", "attn50", "attn25", "attn12", "attn0"];
const LENGTHS: Drafted[] = [1, 2, 3, 4, 5, 6, 7, 8, "adaptive"];
const SPEED_LENGTHS: Drafted[] = [1, 2, 3, 4, "adaptive"];
const THREADS = 2;
/** What was found, by part. */
const ENTRIES = "entries ";

const targets: readonly Target[] = [
  {
    family: "stories",
    chat: false,
    variants: RATIOS,
    drafts: { draft2: { kind: "model", variant: "draft2" }, eagle2: { kind: "model", variant: "eagle2" }, "draft2-attention": { kind: "model", variant: "draft2-attention" }, "first 3 layers": { kind: "layers", count: 3 }, lookup: { kind: "lookup" } },
  },
  {
    family: "smollm2-135m-instruct",
    chat: true,
    variants: RATIOS,
    drafts: {
      draft2: shippedDraft("draft2"),
      "draft2+lookup": shippedDraft("draft2", true),
      eagle2: shippedDraft("eagle2"),
      "eagle2+lookup": shippedDraft("eagle2", true),
      "draft2-attention": shippedDraft("draft2-attention"),
      lookup: { kind: "lookup" },
      "first 8 layers": { kind: "layers", count: 8, shortlist: DEFAULT_SHORTLIST },
    },
  },
];

export async function main(given: string[]): Promise<number> {
  const options = new Options(given, ["draft", "prompts", "tokens"]);
  const [prompts, tokens] = [options.number("prompts", 20), options.number("tokens", 128)];
  const named = (...names: string[]): boolean => names.some((name) => options.has(name));
  const anySection = named("exact", "speed");
  const families = targets.filter(({ family }) => named(family) || !targets.some((target) => named(target.family)));
  const only = options.text("draft");
  const kept = await Kept.open("speculative", { fresh: named("fresh") });
  const lab = await openLab();
  const bench = new Bench(lab, kept, named("webgpu") ? "webgpu" : "wasm", { prompts, tokens });
  try {
    for (const family of families) {
      const present = Object.entries(presentDrafts(bundleOf(family.family).manifest, family.drafts));
      const target = { ...family, drafts: Object.fromEntries(present.filter(([name]) => only === undefined || name === only)) };
      for (const section of ["speed", "exact"] as const) if (!anySection || named(section)) await bench.section(section, target);
    }
  } finally {
    await bench.close();
    await lab.close();
  }
  say(`Wrote ${await writeResults("speculative", "npm run bench:speculative", bench.version || "Chromium", kept.all<ResultEntry[]>(ENTRIES).flat())}`);
  return bench.differences === 0 ? 0 : 1;
}

class Bench {
  private collected = new Collected();
  version = "";
  differences = 0;
  private browser: Browser | null = null;
  private held = "";

  constructor(
    private readonly lab: Lab,
    private readonly kept: Kept,
    private readonly provider: "wasm" | "webgpu",
    private readonly amount: { readonly prompts: number; readonly tokens: number },
  ) {}

  async section(name: "speed" | "exact", target: Target): Promise<void> {
    for (const [draft, choice] of Object.entries(target.drafts)) {
      this.collected = new Collected();
      await this[name]({ ...target, drafts: { [draft]: choice } });
      await this.kept.put(`${ENTRIES}${name} ${target.family} ${draft} ${this.provider}`, this.collected.entries);
    }
  }

  /** Every ratio, draft and length: are the tokens plain decoding's? */
  private async exact(target: Target): Promise<void> {
    for (const variant of target.variants) {
      for (const [draft, choice] of Object.entries(target.drafts)) {
        const found = await this.sweep(target, variant, draft, choice, LENGTHS, "once");
        for (const K of LENGTHS) {
          const points = found.points.filter((point) => point.K === K);
          const different = points.filter(({ exact }) => exact !== true).length;
          this.differences += different;
          const of = { family: target.family, variant, draft, K: String(K), provider: this.provider, prompts: points.length, tokens: found.tokens, different };
          this.collected.add({ metric: "speculative.exact", value: points.length > 0 ? 1 - different / points.length : 0, unit: "share of answers", of });
        }
      }
    }
  }

  /** The hybrid of half attention: speed-up, acceptance and memory. */
  private async speed(target: Target): Promise<void> {
    for (const [draft, choice] of Object.entries(target.drafts)) {
      const found = await this.sweep(target, "attn50", draft, choice, SPEED_LENGTHS, "each");
      const of = { family: target.family, variant: "attn50", draft, provider: this.provider, threads: found.threads, prompts: found.prompts, tokens: found.tokens, load_average: found.load_average };
      for (const summary of found.summaries) this.addSummary(summary, found.points, of);
      const { checkpointBytes, inputBytes, statePerTokenBytes, draftCheckpointBytes, draftInputBytes } = found.memory;
      const bytes = { checkpoint: checkpointBytes, inputs: inputBytes, state_per_token: statePerTokenBytes, draft_checkpoint: draftCheckpointBytes, draft_inputs: draftInputBytes };
      for (const [what, value] of Object.entries(bytes)) {
        this.collected.add({ metric: "speculative.memory", value, unit: "bytes", of: { family: target.family, variant: "attn50", draft, provider: this.provider, what, K: 8 } });
      }
    }
  }

  private addSummary(summary: SweepSummary, points: readonly SweepPoint[], common: Record<string, string | number>): void {
    const of = { ...common, K: String(summary.K) };
    this.collected.add({
      metric: "speculative.speedup",
      value: summary.speedup,
      unit: "x",
      of: { ...of, tokens_per_second: round(summary.tokensPerSecond), tokens_per_cycle: round(summary.tokensPerCycle), cost_ratio: round(summary.costRatio) },
      peer: { name: "plain decoding, tokens/s", value: round(summary.plainTokensPerSecond) },
    });
    this.collected.add({ metric: "speculative.acceptance", value: summary.acceptance, unit: "share of drafts", of });
    const mine = points.filter(({ K }) => K === summary.K);
    for (const kind of new Set(mine.map((point) => point.kind ?? ""))) {
      const some = mine.filter((point) => point.kind === kind).flatMap(({ totals }) => totals.byPosition);
      const decided = some.reduce((sum, entry) => sum + entry.decided, 0);
      const accepted = some.reduce((sum, entry) => sum + entry.accepted, 0);
      if (decided > 0) this.collected.add({ metric: "speculative.acceptance", value: accepted / decided, unit: "share of drafts", of: { ...of, kind, decided } });
    }
  }

  private sweep(target: Target, variant: string, draft: string, choice: DraftChoice, K: Drafted[], baseline: "each" | "once"): Promise<Found> {
    const { prompts, tokens } = this.amount;
    const key = JSON.stringify([target.family, variant, choice, K, baseline, prompts, tokens, this.provider]);
    return this.kept.get(key, async () => {
      say(`── ${target.family} ${variant}, ${draft}`);
      const load_average = await quietLoad(baseline === "each" ? 60 : 0);
      const { bench } = await this.open();
      const place = `${target.family} ${variant}`;
      const info =
        this.held === place
          ? await bench.speculativeDraft(choice)
          : await bench.speculativeLoad({ family: target.family, variant, draft: choice, provider: this.provider, threads: THREADS, contextLength: 1024 });
      this.held = place;
      // Spread over the kinds, whatever the number.
      const all = target.chat ? chatPrompts : storyPrompts;
      const count = Math.min(prompts, all.length);
      const some = all.filter((_, index) => Math.floor((index * count) / all.length) !== Math.floor(((index - 1) * count) / all.length));
      const inputs = some.map(({ kind, text }: KindedPrompt) => ({ kind, input: target.chat ? { messages: [{ role: "user" as const, content: text }] } : { prompt: text } }));
      const result = await bench.speculativeSweep(inputs, K, { maxTokens: tokens, stop: target.chat && baseline === "each", baseline });
      return { ...result, memory: info.memory, load_average, prompts: some.length, tokens, threads: info.threads };
    });
  }

  private async open(): Promise<Browser> {
    this.browser ??= await this.lab.browser({ webgpu: this.provider === "webgpu" });
    this.version = this.browser.version;
    return this.browser;
  }

  async close(): Promise<void> {
    await this.browser?.close();
  }
}

const round = (value: number): number => Number(value.toPrecision(4));
