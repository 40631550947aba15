/**
 * `node scripts/bench/main.mjs speculative-gpu`: speculative decoding on a GPU without a browser, for machines that have only Node; see
 * node-webgpu.mjs for the package that it needs. The same runners, session and sweep as in the page.
 * Options: families; `variant=`, `prompts=N`, `tokens=N`, `context=N`. Prints its entries, and writes them to the file that MAMBASCOPE_BENCH_OUT names.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type * as Ort from "onnxruntime-web/webgpu";
import type { HybridConfig } from "@/lib/hybrid/config";
import { firstLayers } from "@/lib/inference/speculative/first-layers";
import { LookupDrafter } from "@/lib/inference/speculative/lookup";
import { ModelDrafter } from "@/lib/inference/speculative/model-drafter";
import { SpeculativeSession } from "@/lib/inference/speculative/session";
import { shortlistOf } from "@/lib/inference/speculative/shortlist";
import { sweep } from "@/lib/inference/speculative/sweep";
import { type DiskBundle, diskBundle } from "@/lib/inference/speculative/testing";
import { type DraftChoice, type Drafted, MAX_DRAFTED } from "@/lib/inference/speculative/types";
import { Tokenizer } from "@/lib/inference/tokenizer";
import { WebGpuRunner } from "@/lib/inference/webgpu-runner";
import { buildGraph } from "@/lib/onnx/build";
import { createExpander } from "@/lib/onnx/expand";
import { hybridConfigOf } from "@/lib/weights/manifest";
import { say } from "../lib/console.mjs";
import { homeFolder, root } from "../lib/paths.mjs";
import { chatPrompts, storyPrompts } from "./prompts";
import { Collected } from "./results";

const LENGTHS: Drafted[] = [1, 2, 3, 4, 6, 8, "adaptive"];
const drafts: Readonly<Record<string, Readonly<Record<string, DraftChoice>>>> = {
  stories: { "first 3 layers": { kind: "layers", count: 3 }, lookup: { kind: "lookup" } },
  "smollm2-135m-instruct": {
    draft2: { kind: "model", variant: "draft2", shortlist: 8192 },
    "draft2-attention": { kind: "model", variant: "draft2-attention", shortlist: 8192 },
    lookup: { kind: "lookup" },
  },
};

export async function main(options: string[], ort: typeof Ort): Promise<number> {
  const option = (name: string, otherwise: string): string => options.find((given) => given.startsWith(`${name}=`))?.slice(name.length + 1) ?? otherwise;
  const families = Object.keys(drafts).filter((family) => options.includes(family) || !Object.keys(drafts).some((name) => options.includes(name)));
  const [prompts, tokens, contextLength] = [Number(option("prompts", "20")), Number(option("tokens", "128")), Number(option("context", "1024"))];
  const collected = new Collected();
  for (const family of families) {
    const bundle = diskBundle(...[path.join(root, "public"), homeFolder()].map((parent) => path.join(parent, "models", family)));
    await measure(ort, bundle, option("variant", "attn50"), { prompts, tokens, contextLength }, collected);
  }
  const out = process.env.MAMBASCOPE_BENCH_OUT;
  if (out) await writeFile(out, JSON.stringify(collected.entries, null, 2));
  return 0;
}

type Amount = { readonly prompts: number; readonly tokens: number; readonly contextLength: number };

async function measure(ort: typeof Ort, bundle: DiskBundle, variant: string, { prompts, tokens, contextLength }: Amount, collected: Collected): Promise<void> {
  const { family } = bundle.manifest;
  const tokenizer = tokenizerOf(bundle);
  const runner = (config: HybridConfig, headTokens?: Uint32Array): Promise<WebGpuRunner> => {
    const plan = buildGraph(bundle.manifest, config, { format: "quantised", provider: "webgpu", contextLength, rollback: true, headTokens });
    return WebGpuRunner.create(ort, { plan, contextLength, allLogits: false, span: MAX_DRAFTED + 1, expand: createExpander((name) => bundle.stored(config, name)) });
  };
  const config = hybridConfigOf(bundle.manifest, variant);
  say(`── ${family} ${variant}: compiling`);
  const target = await runner(config);
  await target.warmUp();
  const session = new SpeculativeSession(target, new LookupDrafter());
  await session.measure();
  const all = tokenizer.hasChatTemplate ? chatPrompts : storyPrompts;
  const inputs = all.slice(0, prompts).map(({ kind, text }) => ({ kind, tokens: tokenizer.hasChatTemplate ? tokenizer.encodeChat([{ role: "user", content: text }]) : tokenizer.encode(text) }));
  for (const [draft, choice] of Object.entries(drafts[family] ?? {})) {
    say(`── ${draft}`);
    if (choice.kind !== "lookup") {
      const small = choice.kind === "layers" ? firstLayers(config, choice.count) : hybridConfigOf(bundle.manifest, choice.variant ?? "");
      const headTokens = await shortlistOf(bundle, choice.shortlist);
      const draftRunner = await runner(small, headTokens);
      await draftRunner.warmUp();
      session.drafter = new ModelDrafter(draftRunner, headTokens);
    } else session.drafter = new LookupDrafter();
    const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
    const common = { sampling: greedy, seed: 1, stopTokens: new Set<number>(), decode: (ids: readonly number[]) => tokenizer.decode(ids) };
    await sweep(session, inputs.slice(0, 1), { ...common, maxTokens: 24, K: LENGTHS, baseline: "once" }); // compiles what each length needs
    const { points, summaries } = await sweep(session, inputs, { ...common, maxTokens: tokens, K: LENGTHS, baseline: "each" });
    for (const summary of summaries) {
      const different = points.filter(({ K, exact }) => K === summary.K && exact !== true).length;
      const of = { family, variant, draft, K: String(summary.K), provider: "webgpu", prompts: inputs.length, tokens, different, tokens_per_cycle: summary.tokensPerCycle, cost_ratio: summary.costRatio };
      collected.add({ metric: "speculative.speedup", value: summary.speedup, unit: "x", of, peer: { name: "plain decoding, tokens/s", value: summary.plainTokensPerSecond } });
      collected.add({ metric: "speculative.acceptance", value: summary.acceptance, unit: "share of drafts", of: { family, variant, draft, K: String(summary.K), provider: "webgpu" } });
    }
    await session.drafter.dispose();
  }
  await target.dispose();
}

function tokenizerOf(bundle: DiskBundle): Tokenizer {
  const json = (file: string): object => {
    const bytes = bundle.read(file);
    if (!bytes) throw new Error(`${file} is not in the bundle.`);
    return JSON.parse(bytes.toString("utf8")) as object;
  };
  return new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
}
