/** The training service: what the routes call. One a process and home folder. */
import path from "node:path";
import { databaseOf } from "@/lib/db/connection";
import { homeFolder, projectRoot } from "@/lib/home/paths";
import { TrainingService } from "./service";

// Kept on globalThis, because each route may get its own copy of this module.
const store = globalThis as typeof globalThis & { mambascopeTraining?: Map<string, TrainingService> };

/** The service of this server's home folder, started when it is first asked for. Throws DatabaseError if its database cannot be opened. */
export async function trainingService(): Promise<TrainingService> {
  const services = (store.mambascopeTraining ??= new Map<string, TrainingService>());
  const home = path.resolve(/* turbopackIgnore: true */ homeFolder());
  let service = services.get(home);
  if (!service) {
    service = new TrainingService({ home, project: projectRoot(), db: databaseOf(home).db });
    services.set(home, service);
    service.start();
  }
  return service;
}
