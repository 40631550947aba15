/** One holder at a time of a file in the home folder, also among several servers. */
import { mkdir, open, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ServiceError } from "./errors";

/** A lock this old belongs to a server that died: no work under a lock takes as long. */
const abandonedMs = 60_000;

/** Does `work` while holding the lock file. Throws ServiceError `locked` when another holds it for longer than `patienceMs`. */
export async function withLock<T>(file: string, work: () => Promise<T>, patienceMs = 30_000): Promise<T> {
  await mkdir(/* turbopackIgnore: true */ path.dirname(file), { recursive: true });
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const handle = await open(/* turbopackIgnore: true */ file, "wx").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return null;
      throw error;
    });
    if (handle) {
      try {
        return await work();
      } finally {
        await handle.close();
        await rm(/* turbopackIgnore: true */ file, { force: true });
      }
    }
    const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
    if (info && Date.now() - info.mtimeMs > abandonedMs) await rm(/* turbopackIgnore: true */ file, { force: true });
    else if (Date.now() > deadline) throw new ServiceError(409, "locked", "Another server of this home folder is busy with the same files.", "Wait a moment, then try again.");
    else await pause(100);
  }
}
