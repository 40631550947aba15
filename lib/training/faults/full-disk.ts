/** A disk that is full in mid-run: the whole home folder, run directories and index, lies on it. */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { startService } from "../testing/service";
import { damageOf, fillHome, findingOf, readLosses, request, secondsSince, until, untilState, untilStep, type Finding, type Losses } from "./lab";

const execute = promisify(execFile);

/** A small file system of its own, or null where none may be made. */
async function smallDisk(megabytes: number): Promise<{ folder: string; remove: () => Promise<void> } | null> {
  const folder = await mkdtemp(path.join(tmpdir(), "mambascope-disk-"));
  try {
    await execute("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]);
  } catch {
    await rm(folder, { recursive: true });
    return null;
  }
  const remove = async () => {
    // Processes that end may hold it for a moment.
    await until("the disk's release", () => execute("umount", [folder]).then(() => true, () => false), 30);
    await rm(folder, { recursive: true });
  };
  return { folder, remove };
}

/** Takes all space but a few pages. Returns the way to give it back. */
async function fill(folder: string, leave: number): Promise<() => Promise<void>> {
  const file = path.join(folder, "filler");
  const handle = await open(file, "w");
  const { bavail, bsize } = await statfs(folder);
  const block = Buffer.alloc(1 << 20);
  try {
    for (let left = bavail * bsize - leave; left > 0; ) left -= (await handle.write(block, 0, Math.min(left, block.length))).bytesWritten;
  } finally {
    await handle.close();
  }
  return () => rm(file);
}

/** Null where no small file system can be made. */
export async function fullDisk(reference: Losses | null): Promise<Finding[] | null> {
  const disk = await smallDisk(160);
  if (!disk) return null;
  await fillHome(disk.folder);
  const { service, close } = startService(disk.folder);
  try {
    const { id } = await service.launches.launch(request("local"));
    const folder = path.join(disk.folder, "runs", id);
    const atStep = await untilStep(folder, 45);
    const start = performance.now();
    const free = await fill(disk.folder, 32 * 1024);
    const failed = await untilState(service, "local", id, "failed");
    const told = secondsSince(start);
    // What was there before is still shown, and one who resumes too early is told why not.
    const shown = (await service.runs.list()).some((run) => run.id === id);
    await free();
    await service.launches.resume("local", id);
    await until("the end of the run", async () => (await service.runs.summary("local", id)).state === "finished");
    const damage = damageOf(await readLosses(folder), reference);
    return [findingOf("full_disk", { ...damage, lost: damage.lost + (shown ? 0 : 1) }, { at_step: atStep, told_after_s: told, said: `${failed.message} ${failed.action}` })];
  } finally {
    await close();
    await disk.remove();
  }
}
