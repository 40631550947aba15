/** What is done once a run has finished: its bundle is taken in, its speed is kept for estimates. */
import { checkConfig } from "../config/validate";
import type { RunRecord } from "../runs/record";
import { recordSpeed, machineOf, medianSpeed } from "./benchmarks";
import { manifestOf, type Core } from "./core";
import type { Exports } from "./exports";
import type { Nodes } from "./nodes";
import type { Runs } from "./runs";

export class Finished {
  constructor(
    private readonly core: Core,
    private readonly nodes: Nodes,
    private readonly runs: Runs,
    private readonly exports: Exports,
  ) {}

  /** Neither part's failure hinders the other; both can be had later (Export; the next run). */
  async take({ node, id }: RunRecord): Promise<void> {
    const results = await Promise.allSettled([this.exports.takeIn(node, id), this.keepSpeed(node, id)]);
    for (const result of results) if (result.status === "rejected") console.error(result.reason);
  }

  private async keepSpeed(node: string, id: string): Promise<void> {
    const { config, job, family } = await this.runs.detail(node, id);
    const manifest = family === null ? null : await manifestOf(this.core, family);
    const { stages } = checkConfig(config, manifest?.architecture ?? null);
    if (!stages || !job) return;
    const { series, last } = await this.runs.metrics(node, id, { measures: "tokens_per_second,memory_gib", kind: "train", points: 2000 });
    const valuesOf = (measure: string) => series.find((one) => one.measure === measure)?.value ?? [];
    const speed = medianSpeed(valuesOf("tokens_per_second"));
    const memory = valuesOf("memory_gib").filter((value) => value !== null);
    if (speed === null) return;
    const machine = machineOf(await this.nodes.factsOf(node), job.launcher, stages[0]?.config.device ?? "auto");
    recordSpeed(this.core.db, node, stages, machine, { tokensPerSecond: speed, memoryGib: memory.length > 0 ? Math.max(...memory) : null, run: job.name, measured: last?.time ?? 0 });
  }
}
