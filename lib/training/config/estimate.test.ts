import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Benchmark, ConfigDocument } from "../types";
import { benchmarkShape, estimateRun, tokensOf } from "./estimate";
import { memoryBytes } from "./memory";
import { presets } from "./presets";
import { recipes } from "./recipes";
import type { RunConfig } from "./run-config";
import { architectureOf, projectRoot } from "./testing/trainer";
import { checkConfig } from "./validate";

const read = (file: string): unknown => JSON.parse(readFileSync(path.join(projectRoot, file), "utf8"));

function lastStage(document: ConfigDocument): RunConfig {
  const { stages, problems } = checkConfig(document, architectureOf(String(document.family)));
  if (!stages) throw new Error(JSON.stringify(problems));
  return stages.at(-1)!.config;
}

/** Peak memory and median speed that a shipped run recorded. */
function recorded(run: string): { config: RunConfig; gib: number; tokensPerSecond: number } {
  const lines = readFileSync(path.join(projectRoot, "results/runs", run, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, number | string>);
  const train = lines.filter(({ kind }) => kind === "train");
  const speeds = train.map(({ tokens_per_second: speed }) => Number(speed)).sort((one, other) => one - other);
  return {
    config: lastStage(read(`results/runs/${run}/config.json`) as ConfigDocument),
    gib: Math.max(...train.map(({ memory_gib: gib }) => Number(gib))),
    tokensPerSecond: speeds[speeds.length >> 1]!,
  };
}

describe("estimates", () => {
  // Runs of the present kernels; those before took up to twice the memory.
  it.each([
    ["smollm2-attn50", 2],
    ["smollm2-aligned", 3],
    ["smollm2-align", 1],
    ["smollm2-draft2", 1],
    ["stories-aligned", 1],
    ["stories-align", 1],
    ["ablation-init-attention", 1],
    ["ablation-stages-3", 1],
  ])("come near to the memory and the speed of %s", (run, devices) => {
    const { config, gib, tokensPerSecond } = recorded(run);
    const arch = architectureOf(config.family);
    expect(memoryBytes(config, arch, true, devices) / 2 ** 30 / gib).toBeGreaterThan(0.88);
    expect(memoryBytes(config, arch, true, devices) / 2 ** 30 / gib).toBeLessThan(1.12);
    // What twice the steps take more: compiling is not in the recorded speed.
    const seconds = (times: number): number => {
      const longer = { ...config, optimiser: { ...config.optimiser, steps: times * config.optimiser.steps } };
      return estimateRun({ stages: [{ name: null, config: longer }], teacher: arch, machine: { gpu: "NVIDIA H200", devices, cpus: 16 }, benchmarks: [] }).seconds!;
    };
    const share = (seconds(2) - seconds(1)) / (tokensOf(config) / tokensPerSecond);
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(2.2);
  });

  it("follow a measured speed of the same shape and device, scaled to the processes", () => {
    const config = lastStage(recipes["smollm2-attn50"] as unknown as ConfigDocument);
    const measured: Benchmark = { shape: benchmarkShape(config), device: "GPU X", devices: 2, tokensPerSecond: 1000, memoryGib: null, run: "run-1", measured: 1 };
    const ask = (benchmarks: Benchmark[], devices: number, gpu = "GPU X") => estimateRun({ stages: [{ name: null, config }], teacher: architectureOf(config.family), machine: { gpu, devices, cpus: 8 }, benchmarks });
    const two = ask([measured], 2);
    expect(two.basis).toContain("run-1");
    expect(two.seconds! * 1000).toBeGreaterThan(two.tokens);
    expect(two.seconds! * 1000).toBeLessThan(1.2 * two.tokens);
    expect(ask([measured], 4).seconds! / two.seconds!).toBeCloseTo(0.5, 2);
    for (const other of [ask([measured], 2, "GPU Y"), ask([{ ...measured, shape: "other" }], 2)]) expect(other.basis).toContain("guess");
  });

  it("say of every preset what it takes, and grow with steps, batch and layers", () => {
    for (const { id, config } of presets) {
      if (id === "blank") continue;
      const arch = architectureOf(String(config.family));
      const stages = checkConfig(config, arch).stages!;
      const found = estimateRun({ stages, teacher: arch, machine: { gpu: null, devices: 1, cpus: 2 }, benchmarks: [] });
      for (const value of [found.seconds, found.memoryBytes, found.diskBytes]) expect(value, id).toBeGreaterThan(0);
      const bigger = stages.map((stage) => ({ ...stage, config: { ...stage.config, optimiser: { ...stage.config.optimiser, batch: 2 * stage.config.optimiser.batch } } }));
      const more = estimateRun({ stages: bigger, teacher: arch, machine: { gpu: null, devices: 1, cpus: 2 }, benchmarks: [] });
      expect(more.tokens).toBe(2 * found.tokens);
      expect(more.memoryBytes!).toBeGreaterThan(found.memoryBytes!);
      expect(more.seconds!).toBeGreaterThan(found.seconds!);
    }
  });

  it("says so where the teacher is not known", () => {
    const config = lastStage(recipes["stories-attn50"] as unknown as ConfigDocument);
    const found = estimateRun({ stages: [{ name: null, config }], teacher: null, machine: { gpu: null, devices: 1, cpus: 2 }, benchmarks: [] });
    expect(found).toMatchObject({ seconds: null, memoryBytes: null, diskBytes: null });
    expect(found.tokens).toBe(1500 * 64 * 512);
  });
});

describe("recipes", () => {
  it("are those of trainer/recipes", () => {
    const folder = path.join(projectRoot, "trainer/recipes");
    const names = readdirSync(folder).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length));
    expect(Object.keys(recipes).sort()).toEqual(names.sort());
    for (const [name, recipe] of Object.entries(recipes)) {
      expect(existsSync(path.join(folder, `${name}.json`))).toBe(true);
      expect(recipe).toEqual(read(`trainer/recipes/${name}.json`));
    }
  });
});
