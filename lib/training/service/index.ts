/** The training service: what the routes call. One a process and home folder. */
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { databaseOf } from "@/lib/db/connection";
import { homeFolder, projectRoot } from "@/lib/home/paths";
import { TrainingService } from "./service";

type Kept = { service: TrainingService; version: number };

// Kept on globalThis, because each route may get its own copy of this module.
const store = globalThis as typeof globalThis & { mambascopeTrainingServices?: Map<string, Kept> };

/** A development server loads changed code while it runs: a service of older code gives way. */
const version = process.env.NODE_ENV === "development" ? newestChange() : 0;

function newestChange(): number {
  const folder = path.join(/* turbopackIgnore: true */ projectRoot(), "lib", "training");
  const files = readdirSync(/* turbopackIgnore: true */ folder, { recursive: true, encoding: "utf8" });
  return Math.max(0, ...files.map((file) => statSync(path.join(/* turbopackIgnore: true */ folder, file), { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

/** The service of this server's home folder, started when it is first asked for. Throws DatabaseError if its database cannot be opened. */
export async function trainingService(): Promise<TrainingService> {
  const services = (store.mambascopeTrainingServices ??= new Map<string, Kept>());
  const home = path.resolve(/* turbopackIgnore: true */ homeFolder());
  const known = services.get(home);
  if (known && !(known.version < version)) return known.service;
  const service = new TrainingService({ home, project: projectRoot(), db: databaseOf(home).db });
  services.set(home, { service, version });
  void known?.service.close().catch((error: unknown) => console.error(error));
  service.start();
  return service;
}
