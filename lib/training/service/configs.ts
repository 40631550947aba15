/** Presets, the config's schema, estimates and saved configs, as the routes give them. */
import { deleteConfiguration, listConfigurations, saveConfiguration } from "@/lib/db/configurations";
import { presets } from "../config/presets";
import { runConfigSchema } from "../config/schema";
import { configDocumentSchema, savedConfigurationSchema, type ConfigDocument, type SavedConfiguration } from "../types";
import { now, type Core } from "./core";
import { notFound } from "./errors";

export class Configs {
  constructor(private readonly core: Core) {}

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
