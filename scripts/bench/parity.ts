/**
 * `npm run bench:parity`: the browser's numbers against the trainer's. WebAssembly in float32: logits of all positions, read at
 * once and token by token, and greedy continuations. WebGPU with quantised weights (on a software adapter): logits.
 * Options: `keep` takes the references recorded last; names of families or variants measure only those, and write nothing.
 */
import { say } from "../lib/console.mjs";
import { families, type Family } from "./families";
import { CONTINUATION, type Fixtures, fixturesOf, type ParityCase } from "./fixtures";
import { type Browser, openLab } from "./harness";
import type { Comparison } from "./page/compare";
import { Collected, writeResults } from "./results";

const LIMITS = { maxAbsDiff: 1e-3, nearTie: 1e-3, quantisedKl: 0.01 };

type Selection = { family: Family; variant: string; cases: ParityCase[] };

export async function main(options: string[]): Promise<number> {
  const names = options.filter((option) => option !== "keep");
  const wanted = (family: string, variant: string): boolean => names.every((name) => name === family || name === variant);
  const selections: Selection[] = [];
  const folders: Record<string, string> = {};
  for (const family of families) {
    const variants = family.variants.filter((variant) => wanted(family.name, variant));
    if (variants.length === 0) continue;
    const fixtures: Fixtures = await fixturesOf(family, { keep: options.includes("keep") });
    folders[family.name] = fixtures.folder;
    for (const variant of variants) selections.push({ family, variant, cases: fixtures.variants[variant] ?? [] });
  }

  const collected = new Collected();
  const faults: string[] = [];
  const lab = await openLab({ folders });
  try {
    const wasm = await lab.browser();
    for (const selection of selections) faults.push(...(await onWasm(wasm, selection, collected)));
    await wasm.close();
    const gpu = await lab.browser({ webgpu: true });
    for (const selection of selections) faults.push(...(await onWebGpu(gpu, selection, collected)));
    await gpu.close();
    if (names.length === 0) say(`Wrote ${await writeResults("parity", "npm run bench:parity", wasm.version, collected.entries)}`);
  } finally {
    await lab.close();
  }
  for (const fault of faults) say(`FALLS SHORT: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

async function onWasm({ bench }: Browser, { family, variant, cases }: Selection, collected: Collected): Promise<string[]> {
  const of = { family: family.name, variant, provider: "wasm", precision: "f32", reference: "PyTorch float32" };
  const faults: string[] = [];
  await bench.load({ family: family.name, variant, provider: "wasm", precision: "f32", contextLength: 1024, allLogits: true });
  for (const reading of ["prefill", "token by token"]) {
    const found = await compareAll(cases, ({ ids, logits }) => bench.compare(ids, reading !== "prefill", `/bench/${family.name}/${logits}`));
    addLogits(collected, found, { ...of, reading });
    if (!(found.maxAbsDiff <= LIMITS.maxAbsDiff)) faults.push(`${family.name} ${variant}, ${reading}: logits differ by ${found.maxAbsDiff}`);
  }

  await bench.load({ family: family.name, variant, provider: "wasm", precision: "f32", contextLength: 1024 });
  let equal = 0;
  const leads: number[] = [];
  for (const { ids, continuation, continuation_leads } of cases) {
    const { tokenIds } = await bench.generate({ tokens: ids }, CONTINUATION);
    const first = continuation.findIndex((token, index) => token !== tokenIds[index]);
    equal += first < 0 ? CONTINUATION : first;
    if (first >= 0) leads.push(continuation_leads[first] ?? Number.NaN);
  }
  const total = cases.length * CONTINUATION;
  // After a first difference the texts differ, so the tokens that follow are not compared.
  const lead: Record<string, number> = leads.length === 0 ? {} : { parted: leads.length, largest_lead: Math.max(...leads) };
  collected.add({ metric: "parity.greedy_equal_tokens", value: equal, unit: "tokens", of: { ...of, tokens: total, prompts: cases.length, ...lead }, ratio: equal / total });
  for (const value of leads) if (!(value < LIMITS.nearTie)) faults.push(`${family.name} ${variant}: greedy continuations part where the lead is ${value}`);
  await bench.unload();
  return faults;
}

async function onWebGpu({ bench }: Browser, { family, variant, cases }: Selection, collected: Collected): Promise<string[]> {
  const of = { family: family.name, variant, provider: "webgpu", precision: "quantised", adapter: "SwiftShader", reference: "PyTorch float32", reading: "prefill" };
  await bench.load({ family: family.name, variant, provider: "webgpu", precision: "quantised", contextLength: 1024, allLogits: true });
  const found = await compareAll(cases, ({ ids, logits }) => bench.compare(ids, false, `/bench/${family.name}/${logits}`));
  addLogits(collected, found, of);
  await bench.unload();
  return found.meanKl <= LIMITS.quantisedKl ? [] : [`${family.name} ${variant} quantised on WebGPU: KL ${found.meanKl} nat a token`];
}

async function compareAll(cases: readonly ParityCase[], compare: (item: ParityCase) => Promise<Comparison>): Promise<Comparison> {
  const all: Comparison[] = [];
  for (const item of cases) all.push(await compare(item));
  const positions = all.reduce((sum, item) => sum + item.positions, 0);
  const mean = (value: (item: Comparison) => number): number => all.reduce((sum, item) => sum + item.positions * value(item), 0) / positions;
  return {
    positions,
    maxAbsDiff: Math.max(...all.map(({ maxAbsDiff }) => maxAbsDiff)),
    meanKl: mean(({ meanKl }) => meanKl),
    maxKl: Math.max(...all.map(({ maxKl }) => maxKl)),
    top1Agreement: mean(({ top1Agreement }) => top1Agreement),
  };
}

function addLogits(collected: Collected, found: Comparison, of: Record<string, string | number>): void {
  const { positions } = found;
  collected.add({ metric: "parity.max_abs_diff", value: found.maxAbsDiff, unit: "logit", of: { ...of, positions } });
  collected.add({ metric: "parity.kl", value: found.meanKl, unit: "nat/token", of: { ...of, positions, largest: Number(found.maxKl.toPrecision(4)) } });
  collected.add({ metric: "parity.top1_agreement", value: found.top1Agreement, unit: "share", of: { ...of, positions } });
}
