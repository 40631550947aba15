/** Presets, the config's schema, estimates and saved configs, as the routes give them. */
import { deleteConfiguration, listConfigurations, saveConfiguration } from "@/lib/db/configurations";
import type { z } from "zod";
import { estimateRun } from "../config/estimate";
import { presets } from "../config/presets";
import { runConfigSchema } from "../config/schema";
import { checkConfig } from "../config/validate";
import { gpuWarnings } from "../launchers/gpu-use";
import { gpusInUse } from "../launchers/launch";
import { configDocumentSchema, savedConfigurationSchema, type Benchmark, type ConfigDocument, type Estimate, type estimateRequestSchema, type SavedConfiguration } from "../types";
import { benchmarksOf, machineOf } from "./benchmarks";
import { textOf } from "./config-folders";
import { manifestOf, nodeRow, now, type Core } from "./core";
import { notFound } from "./errors";
import type { Nodes } from "./nodes";

export class Configs {
  constructor(
    private readonly core: Core,
    private readonly nodes: Nodes,
  ) {}

  /** What a run would take on a node, and what is wrong with its config. */
  async estimate({ config, node, launcher }: z.output<typeof estimateRequestSchema>): Promise<Estimate> {
    nodeRow(this.core, node);
    const family = textOf(config, "family");
    const teacher = family === null ? null : ((await manifestOf(this.core, family))?.architecture ?? null);
    const { problems, stages } = checkConfig(config, teacher);
    if (!stages) return { tokens: 0, seconds: null, memoryBytes: null, diskBytes: null, basis: "The config has errors.", problems };
    const facts = await this.nodes.factsOf(node);
    const machine = machineOf(facts, launcher, stages[0]?.config.device ?? "auto");
    const connection = facts?.gpus.length ? this.core.links.of(node).connection : null;
    const uses = connection ? await gpusInUse(connection).catch(() => []) : [];
    return { ...estimateRun({ stages, teacher, machine, benchmarks: this.benchmarks(node) }), problems: [...problems, ...gpuWarnings(uses, launcher)] };
  }

  benchmarks(node: string): Benchmark[] {
    nodeRow(this.core, node);
    return benchmarksOf(this.core.db, node);
  }

  presets() {
    return presets;
  }

  schema() {
    return runConfigSchema;
  }

  saved(): SavedConfiguration[] {
    return listConfigurations(this.core.db).flatMap((row) => savedConfigurationSchema.safeParse(row).data ?? []);
  }

  /** Saves a config under a name; one of that name is replaced. */
  save({ name, config, note }: { name: string; config: ConfigDocument; note?: string | undefined }): SavedConfiguration {
    return savedConfigurationSchema.parse(saveConfiguration(this.core.db, name, configDocumentSchema.parse(config), now(), note ?? ""));
  }

  forget(id: number): void {
    if (!deleteConfiguration(this.core.db, id)) throw notFound(`saved config ${id}`, "Look at the list again.");
  }
}
