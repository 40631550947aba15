/** The trainer's Python environment for the server under test: the project's own, which the test command makes before. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readlink, symlink } from "node:fs/promises";
import path from "node:path";
import { homeFolder } from "../scripts/lib/paths.mjs";

const stamp = ".installed-requirements.txt";
const ours = path.join(homeFolder(), "venv");

/** Whether there is one: `npm test` makes it; the browser tests alone do not. */
export const hasTrainerEnvironment = existsSync(path.join(ours, stamp));

/** Makes `<home>/venv` of the project's: its own folder (a node's files lie within its root), the packages where they are. */
export async function borrowEnvironment(home: string): Promise<void> {
  if (!hasTrainerEnvironment) return;
  const folder = path.join(home, "venv");
  await mkdir(path.join(folder, "bin"), { recursive: true });
  await symlink(path.join(ours, "lib"), path.join(folder, "lib"));
  for (const name of [stamp, "pyvenv.cfg"]) await copyFile(path.join(ours, name), path.join(folder, name));
  for (const name of (await readdir(path.join(ours, "bin"))).filter((entry) => entry.startsWith("python"))) {
    const target = await readlink(path.join(ours, "bin", name)).catch(() => path.join(ours, "bin", name));
    await symlink(target, path.join(folder, "bin", name));
  }
}
